/** Time of this process: the clock on the wall, and what its threads had of the processors. */

export class Stopwatch {
  private wall = 0;
  private cpu = { user: 0, system: 0 };

  start(): void {
    this.cpu = process.cpuUsage();
    this.wall = performance.now();
  }

  read(): { readonly wallMilliseconds: number; readonly cpuMilliseconds: number } {
    const wallMilliseconds = performance.now() - this.wall;
    const { user, system } = process.cpuUsage(this.cpu);
    return { wallMilliseconds, cpuMilliseconds: (user + system) / 1000 };
  }
}
