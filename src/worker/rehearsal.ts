/**
 * What a worker does while it waits for its machine: it starts a small one, from its creation to the stop at a boot sector's first instruction and a step,
 * and throws it away. Then V8 has the code that the real start runs. Each request is a turn of its own, so that a machine that is wanted meanwhile waits for one of them at most.
 */
import type { HostChannel } from '../protocol/channel';
import type { ClientMessage, HostMessage, MachineConfiguration } from '../protocol/messages';
import { MachineHost } from './host';
import type { HostEnvironment, MachineFactory } from './host';

const BOOT_SECTOR = 0x7c00;

/** A boot sector that loads a register and loops. */
function bootSector(): Uint8Array {
  const MOV_AX = 0xb8, JMP_SHORT = 0xeb, ITSELF = 0xfe;
  const sector = new Uint8Array(512);
  sector.set([MOV_AX, 0x34, 0x12, JMP_SHORT, ITSELF]);
  sector.set([0x55, 0xaa], 510);
  return sector;
}

const configuration: MachineConfiguration = {
  name: 'rehearsal', image: bootSector(), boot: 'disk', memoryMiB: 1, mmu: 'shadow', pace: 'max', stopOnEntry: true, processors: 1, network: 'none', imageParts: {},
};

type Numbered<M> = M extends { readonly id: number } ? Omit<M, 'id'> : never;

/** The requests of a debugger that stops at the first instruction, shows where it is, and steps. */
const requests: readonly Numbered<ClientMessage>[] = [
  { request: 'create', arguments: configuration },
  { request: 'subscribe', arguments: { countersHz: 1, screenHz: 1 } },
  { request: 'setBreakpoints', arguments: { breakpoints: [] } },
  { request: 'setExceptionStops', arguments: { vectors: [] } },
  { request: 'runTo', arguments: { linear: BOOT_SECTOR } },
  { request: 'processors', arguments: {} },
  { request: 'readMemory', arguments: { space: 'linear', address: BOOT_SECTOR, count: 64 } },
  { request: 'disassemble', arguments: { linear: BOOT_SECTOR, instructionOffset: 0, count: 16 } },
  { request: 'evaluate', arguments: { expression: 'eax' } },
  { request: 'devices', arguments: {} },
  { request: 'step', arguments: { count: 1 } },
];
/** After these the next request waits for the stop. */
const moving: readonly string[] = ['runTo', 'step'];

export class Rehearsal {
  state: 'begun' | 'done' | 'abandoned' | 'failed' = 'begun';
  private next = 0;
  private receive: (message: ClientMessage) => void = () => undefined;
  private readonly host: MachineHost;

  constructor(createMachine: MachineFactory, private readonly environment: Pick<HostEnvironment, 'now' | 'soon'>) {
    const channel: HostChannel = {
      post: (message) => this.heard(message),
      onMessage: (listener) => { this.receive = listener; },
      onClose: () => undefined,
      close: () => undefined,
    };
    this.host = new MachineHost(channel, createMachine, { ...environment, later: () => ({ cancel: () => undefined }) });
    this.environment.soon(() => this.turn());
  }

  /** The worker's own machine is wanted. Harmless when the rehearsal is over. */
  abandon(): void {
    this.end('abandoned');
  }

  private end(state: Rehearsal['state']): void {
    if (this.state !== 'begun') return;
    this.state = state;
    this.host.dispose();
  }

  private turn(): void {
    if (this.state !== 'begun') return;
    const request = requests[this.next++];
    if (!request) {
      this.end('done');
      return;
    }
    this.receive({ id: this.next, ...request } as ClientMessage);
    if (!moving.includes(request.request)) this.environment.soon(() => this.turn());
  }

  private heard(message: HostMessage): void {
    if ('error' in message || ('event' in message && message.event === 'ended')) this.end('failed');
    else if ('event' in message && message.event === 'stopped') this.environment.soon(() => this.turn());
  }
}
