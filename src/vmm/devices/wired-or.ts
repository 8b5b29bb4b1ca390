/** A line with several drivers, as shared interrupt lines are: it is asserted while any of them asserts it. */
import type { Line } from './device';

export class WiredOr {
  private asserted = 0;

  constructor(private readonly output: Line) {}

  /** Another driver. */
  input(): Line {
    let mine = false;
    return (level) => {
      if (level === mine) return;
      mine = level;
      this.asserted += level ? 1 : -1;
      if (this.asserted === (level ? 1 : 0)) this.output(level);
    };
  }
}

/** A driver that can be cut off; while it is, the line is not asserted, and its own level is remembered. */
export class Switched {
  private level = false;
  private connected = true;

  constructor(private readonly output: Line) {}

  readonly line: Line = (level) => {
    this.level = level;
    if (this.connected) this.output(level);
  };

  connect(on: boolean): void {
    if (on === this.connected) return;
    this.connected = on;
    this.output(on && this.level);
  }
}
