/** A guest on a machine of its own, and somebody at the other end of its first serial line who reads and types. */
import assert from 'node:assert/strict';
import { linesOf } from '../../src/protocol/codepage437';
import type { EndReason, MachineConfiguration } from '../../src/protocol/messages';
import type { MachineApi } from '../../src/vmm/machine/api';
import { createMachine } from '../../src/vmm/machine/machine';
import type { NetworkHost } from '../../src/vmm/network/host';
import { VIRTIO_CONSOLE_PORT } from '../../src/vmm/machine/virtio';

/** Between two looks at what has arrived. */
const LOOK_SECONDS = 1 / 100;
/** Of the text in a failure's message. */
const TAIL_CHARACTERS = 4000;

export class SerialGuest {
  readonly machine: MachineApi;
  /** All that came over the line, without carriage returns. */
  text = '';
  /** What it wrote to its virtio console. */
  virtioText = '';
  readonly logged: string[] = [];
  end: EndReason | undefined;
  private seen = 0;

  constructor(name: string, image: Uint8Array, options: Partial<MachineConfiguration> = {}, network?: NetworkHost) {
    const decoder = new TextDecoder();
    this.machine = createMachine({ name, image, boot: 'auto', memoryMiB: 64, mmu: 'shadow', pace: 'max', ...options }, {
      serial: (port, bytes) => {
        if (port === 0) this.text += decoder.decode(bytes, { stream: true }).replaceAll('\r', '');
        else if (port === VIRTIO_CONSOLE_PORT) this.virtioText += new TextDecoder().decode(bytes);
      },
      debugPort: () => undefined, log: (text) => this.logged.push(text), ...(network && { network }),
    });
  }

  get seconds(): number {
    return this.machine.instructions / this.machine.instructionsPerSecond;
  }

  get instructions(): number {
    return this.machine.counters().instructions;
  }

  get screen(): string {
    const lines = linesOf(this.machine.screen());
    return lines.join('\n');
  }

  /** Virtual seconds, or until the guest ends. */
  run(seconds: number): this {
    const target = this.machine.instructions + Math.round(seconds * this.machine.instructionsPerSecond);
    while (this.machine.instructions < target && !this.end) {
      const outcome = this.machine.run(target - this.machine.instructions);
      if (outcome.kind === 'ended') this.end = outcome.reason;
      else if (outcome.kind === 'idle') this.machine.idleUntil(Math.min(target, outcome.wakeAt ?? target));
      else assert.equal(outcome.kind, 'slice');
    }
    return this;
  }

  /** Runs until `satisfied`; fails with what the guest wrote after so many virtual seconds, or when it ends before. */
  until(what: string, satisfied: () => boolean, seconds: number): this {
    const target = this.seconds + seconds;
    while (!satisfied()) {
      if (this.seconds >= target || this.end) {
        const how = this.end ? `the guest ended (${JSON.stringify(this.end, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value))})` : `not within ${seconds} virtual seconds`;
        assert.fail(`${how}: ${what}. It wrote:\n${this.text.slice(-TAIL_CHARACTERS)}\nand the screen shows:\n${this.screen}`);
      }
      this.run(LOOK_SECONDS);
    }
    return this;
  }

  /** Runs until a text comes over the line that {@link until} has not found before; the text up to its end. */
  untilText(pattern: string | RegExp, seconds: number): string {
    const find = (): number => {
      const rest = this.text.slice(this.seen);
      if (typeof pattern === 'string') return rest.indexOf(pattern) < 0 ? -1 : rest.indexOf(pattern) + pattern.length;
      const match = pattern.exec(rest);
      return match ? match.index + match[0].length : -1;
    };
    this.until(`the text ${String(pattern)}`, () => find() >= 0, seconds);
    const length = find();
    const found = this.text.slice(this.seen, this.seen + length);
    this.seen += length;
    return found;
  }

  /** Types on the line, as fast as the guest takes it. */
  type(text: string): this {
    let bytes = new TextEncoder().encode(text);
    this.until(`takes "${text.trim()}"`, () => {
      bytes = bytes.subarray(this.machine.serialInput(0, bytes));
      return bytes.length === 0;
    }, 10);
    return this;
  }

  /** As {@link untilText}, while the process hears its own events between looks: for guests that talk to it over the network. */
  async meanwhile(pattern: RegExp, seconds: number): Promise<string> {
    for (const target = this.seconds + seconds; this.seconds < target && !this.end && !pattern.test(this.text.slice(this.seen)); await new Promise((resolve) => setTimeout(resolve, 1))) this.run(LOOK_SECONDS);
    return this.untilText(pattern, LOOK_SECONDS);
  }

  untilEnd(seconds: number): EndReason {
    const target = this.seconds + seconds;
    while (!this.end && this.seconds < target) this.run(LOOK_SECONDS);
    return this.end ?? assert.fail(`the guest did not end within ${seconds} virtual seconds. It wrote:\n${this.text.slice(-TAIL_CHARACTERS)}`);
  }
}
