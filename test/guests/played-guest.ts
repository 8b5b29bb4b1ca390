/** A guest on a machine of its own, and somebody who looks at its screen and presses its keys at chosen moments of virtual time. */
import assert from 'node:assert/strict';
import { linesOf } from '../../src/protocol/codepage437';
import { breakCode, makeCode } from '../../src/protocol/keys';
import type { EndReason, MachineConfiguration } from '../../src/protocol/messages';
import type { MachineApi } from '../../src/vmm/machine/api';
import { createMachine } from '../../src/vmm/machine/machine';

/** Between two looks at the screen. */
const LOOK_SECONDS = 1 / 80;

export class PlayedGuest {
  readonly machine: MachineApi;
  /** What the monitor said about the guest. */
  readonly logged: string[] = [];
  private end: EndReason | undefined;

  constructor(name: string, image: Uint8Array, options: Partial<MachineConfiguration> = {}) {
    this.machine = createMachine({ name, image, boot: 'auto', memoryMiB: 16, mmu: 'shadow', pace: 'max', ...options }, {
      serial: () => undefined, debugPort: () => undefined, log: (text) => this.logged.push(text),
    });
  }

  get seconds(): number {
    return this.machine.instructions / this.machine.instructionsPerSecond;
  }

  /** How it ended, if it has. */
  get ended(): EndReason['kind'] | undefined {
    return this.end?.kind;
  }

  /** Lines of the screen, blanks at their ends removed. */
  get lines(): string[] {
    return linesOf(this.machine.screen());
  }

  get text(): string {
    return this.lines.join('\n');
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

  /** Runs until the screen satisfies somebody who looks at it often; fails with the screen after so many seconds. */
  until(what: string, satisfied: (lines: string[]) => boolean, seconds: number): this {
    const target = this.seconds + seconds;
    while (!satisfied(this.lines)) {
      if (this.seconds >= target || this.end) assert.fail(`not within ${seconds} virtual seconds: ${what}. The screen shows:\n${this.text}`);
      this.run(LOOK_SECONDS);
    }
    return this;
  }

  untilText(text: string, seconds: number): this {
    return this.until(`the text "${text}"`, (lines) => lines.some((line) => line.includes(text)), seconds);
  }

  /** A key by its KeyboardEvent.code, held down for so many seconds. */
  press(code: string, seconds = 0.05): this {
    this.machine.keyboard(makeCode(code)!);
    this.run(seconds);
    this.machine.keyboard(breakCode(code)!);
    return this.run(LOOK_SECONDS);
  }
}
