/** Wakes the run loop: input, a signal, or time. */

export class Bell {
  private rung = false;
  private wake: (() => void) | undefined;

  ring(): void {
    this.rung = true;
    this.wake?.();
  }

  /** Until the next ring (or one since the last wait), at most so many milliseconds. */
  async wait(milliseconds: number): Promise<void> {
    if (!this.rung) {
      await new Promise<void>((resolve) => {
        // Timers count in 32 bits; waking early is harmless.
        const timer = setTimeout(resolve, Math.min(milliseconds, 1e9));
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.wake = undefined;
    }
    this.rung = false;
  }
}
