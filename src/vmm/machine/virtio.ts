/** The virtio devices that a machine is configured with: which there are, in which slots, and what they are connected to. */
import type { MachineConfiguration, SharedFolder } from '../../protocol/messages';
import type { Clock, DiskImage, PhysicalBytes } from '../devices/device';
import { VirtioBlock } from '../devices/virtio/block';
import { VirtioConsole } from '../devices/virtio/console';
import { VirtioNetwork } from '../devices/virtio/network';
import { SharedTree } from '../devices/virtio/ninep/shared-tree';
import { VirtioShare } from '../devices/virtio/share';
import { VirtioPci, type VirtioModel } from '../devices/virtio/transport';
import type { NetworkHost } from '../network/host';
import { NetworkStack, type Reach } from '../network/stack';
import { MachineError, type MachineOutputs } from './api';

/** The virtio console's number among the serial ports: behind the four UARTs. */
export const VIRTIO_CONSOLE_PORT = 4;
const FIRST_SLOT = 4;
const DISKS_MAX = 8;
const TAG_BYTES_MAX = 255;
/** The first queue of consoles and network cards. */
const RECEIVE = 0;
const MAC = Uint8Array.of(0x02, 0x52, 0x49, 0x4e, 0x47, 0x0f);
const reaches = ['none', 'loopback', 'internet'] as const;

export interface VirtioOptions {
  /** Where the console's output goes; without it there is none. */
  readonly console?: (bytes: Uint8Array) => void;
  readonly share?: { readonly tag: string; readonly tree: SharedTree };
  readonly network?: { readonly reach: Reach; readonly host?: NetworkHost };
  /** Seconds since 1970. */
  seconds(): number;
}

/** @throws MachineError that names the field. */
export function virtioOptions(configuration: MachineConfiguration, seconds: () => number, outputs: MachineOutputs): VirtioOptions {
  const { virtioDisks = [], virtioConsole, sharedFolder, network = 'none' } = configuration;
  if (virtioDisks.length > DISKS_MAX) throw new MachineError('virtioDisks', `virtioDisks: there are ${virtioDisks.length} disks; at most ${DISKS_MAX} fit.`, 'Leave some out.');
  if (!reaches.includes(network)) throw new MachineError('network', `network is '${String(network)}'; it has to be ${reaches.join(', ')}.`, 'Leave it out for none.');
  return {
    seconds, ...(virtioConsole && { console: (bytes) => outputs.serial(VIRTIO_CONSOLE_PORT, bytes) }), ...(sharedFolder && { share: share(sharedFolder, seconds) }),
    ...(network !== 'none' && { network: { reach: network, ...(outputs.network && { host: outputs.network }) } }),
  };
}

function share({ tag, files }: SharedFolder, seconds: () => number): { tag: string; tree: SharedTree } {
  const length = new TextEncoder().encode(tag).length;
  if (length === 0 || length > TAG_BYTES_MAX) throw new MachineError('sharedFolder', `sharedFolder: the tag has ${length} bytes; it needs 1 to ${TAG_BYTES_MAX}.`, 'Choose a short name; the guest mounts the folder by it.');
  try {
    return { tag, tree: new SharedTree(files, seconds) };
  } catch (error) {
    throw error instanceof RangeError ? new MachineError('sharedFolder', `sharedFolder: ${error.message}.`, 'Paths are relative to the folder, with slashes.') : error;
  }
}

export class VirtioDevices {
  readonly functions: readonly VirtioPci[];
  private readonly network: NetworkStack | undefined;
  private readonly console: { readonly model: VirtioConsole; readonly pci: VirtioPci } | undefined;

  constructor(options: VirtioOptions, disks: readonly DiskImage[], memory: PhysicalBytes, clock: Clock) {
    const functions: VirtioPci[] = [];
    const plug = (model: VirtioModel): VirtioPci => {
      const pci = new VirtioPci(model, FIRST_SLOT + functions.length, memory);
      functions.push(pci);
      return pci;
    };
    disks.forEach((disk, n) => plug(new VirtioBlock(disk, `disk${n}`, `virtio-block-${n}`)));
    if (options.console) {
      const model = new VirtioConsole(options.console);
      this.console = { model, pci: plug(model) };
    }
    if (options.network) {
      const stack = new NetworkStack({
        clock, ...options.network, deliver: (frame) => {
          card.arrived(frame);
          pci.attend(RECEIVE);
        },
      });
      const card = new VirtioNetwork(MAC, stack);
      const pci = plug(card);
      this.network = stack;
    }
    if (options.share) plug(new VirtioShare(options.share.tag, options.share.tree, () => options.seconds()));
    this.functions = functions;
  }

  get awaitsHost(): boolean {
    return this.network?.active ?? false;
  }

  /** The machine is gone: so are its connections. */
  disconnect(): void {
    this.network?.reset();
  }

  /** Bytes typed into the console; how many were taken. */
  typed(bytes: Uint8Array): number {
    if (!this.console) return bytes.length;
    const taken = this.console.model.typed(bytes);
    this.console.pci.attend(RECEIVE);
    return taken;
  }
}
