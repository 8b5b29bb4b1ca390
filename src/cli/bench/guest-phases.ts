/** What is timed of a Linux guest, by the texts on its serial line (tools/lib/initramfs.mjs writes those of the ramdisk). */

export interface GuestPhase {
  readonly name: string;
  readonly title: string;
  /** Power-on unless given. */
  readonly from?: string;
  readonly to: string;
  /** The process's memory is looked at when the phase has ended. */
  readonly memory?: string;
}

export const SUMS = 8;

export function guestPhases(forks: number): readonly GuestPhase[] {
  return [
    { name: 'kernel', title: 'power-on to "Linux version"', to: 'Linux version' },
    { name: 'init', title: 'power-on to the first program', to: 'ringside-guest-ready', memory: 'memory after boot' },
    { name: 'forks', title: `${forks.toLocaleString('en')} fork and exec`, from: 'bench begin forks', to: 'bench end forks', memory: `memory after ${forks.toLocaleString('en')} fork and exec` },
    { name: 'sums', title: `sha256sum and gzip of 2 MB, ${SUMS} times`, from: 'bench begin sums', to: 'bench end sums' },
  ];
}

/** What the kernel's command line asks the ramdisk to do. */
export function guestWork(forks: number): string {
  return `ringside.bench=forks:${forks},sums:${SUMS}`;
}

/** Finds the texts in a serial line's bytes as they come, one after another. */
export class PhaseMarks {
  private text = '';
  private next = 0;
  private readonly texts: readonly string[];

  constructor(phases: readonly GuestPhase[], private readonly found: (text: string) => void) {
    this.texts = phases.flatMap(({ from, to }) => (from === undefined ? [to] : [from, to]));
  }

  get complete(): boolean {
    return this.next === this.texts.length;
  }

  /** What the guest wrote last. */
  get tail(): string {
    return this.text.slice(-2000);
  }

  write(bytes: Uint8Array): void {
    this.text += Buffer.from(bytes).toString('latin1');
    for (;;) {
      const at = this.complete ? -1 : this.text.indexOf(this.texts[this.next]);
      if (at < 0) break;
      const text = this.texts[this.next];
      this.text = this.text.slice(at + text.length);
      this.next += 1;
      this.found(text);
    }
    if (this.text.length > 100_000) this.text = this.text.slice(-10_000);
  }
}
