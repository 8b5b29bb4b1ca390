/**
 * The machine's clock: a queue of events ordered by instruction count, and among equal counts by the order of scheduling, so that the same
 * guest and the same input give the same run. Cancelling removes the event at once: a guest that reprograms a timer in a loop leaves nothing behind.
 */
import type { Clock, TimerHandle } from '../devices/device';

interface Event {
  readonly at: number;
  readonly sequence: number;
  readonly callback: () => void;
  /** Index in the heap, -1 when it is no longer there. */
  position: number;
}

/** More live timers than any board has; reaching it is a defect of a device. */
const EVENTS_MAX = 65536;

export class EventClock implements Clock {
  private readonly heap: Event[] = [];
  private sequence = 0;
  private count = 0;
  private firing = false;
  /** Called when an event was scheduled before all others: whoever runs up to the event that was the next has to look again. */
  onEarlier: () => void = () => { /* nobody runs yet */ };

  /**
   * @param source the count exact to the instruction (the engine's, plus what HLT has skipped). Without one, now() is what advanceTo was last told.
   */
  constructor(readonly instructionsPerSecond: number, private readonly source?: () => number) {
    if (!(instructionsPerSecond >= 1)) throw new RangeError(`instructionsPerSecond is ${instructionsPerSecond}; it must be at least 1`);
  }

  /** While an event fires, the count is the event's own: a device that is late sees every edge in order. */
  now(): number {
    if (this.firing || this.source === undefined) return this.count;
    return Math.max(this.count, this.source());
  }

  schedule(at: number, callback: () => void): TimerHandle {
    if (this.heap.length >= EVENTS_MAX) throw new RangeError(`more than ${EVENTS_MAX} timers are pending`);
    const event: Event = { at: Math.max(at, this.count), sequence: this.sequence++, callback, position: this.heap.length };
    this.heap.push(event);
    this.up(event.position);
    if (event.position === 0) this.onEarlier();
    return { cancel: () => this.remove(event) };
  }

  /** The count of the earliest event, or undefined when nothing is pending. */
  nextEvent(): number | undefined {
    return this.heap[0]?.at;
  }

  get pending(): number {
    return this.heap.length;
  }

  /** Fires everything due at or before `count`, in order; events that are scheduled meanwhile and due are fired too. */
  advanceTo(count: number): void {
    if (this.firing) return;
    this.firing = true;
    try {
      for (let event = this.heap[0]; event !== undefined && event.at <= count; event = this.heap[0]) {
        this.remove(event);
        this.count = Math.max(this.count, event.at);
        event.callback();
      }
    } finally {
      this.firing = false;
    }
    this.count = Math.max(this.count, count);
  }

  /** Forgets all events and starts again at `count` (reset, or a restored snapshot whose devices schedule anew). */
  restart(count: number): void {
    for (const event of this.heap) event.position = -1;
    this.heap.length = 0;
    this.count = count;
  }

  private remove(event: Event): void {
    const { position } = event;
    if (position < 0) return;
    const last = this.heap.pop()!;
    event.position = -1;
    if (last === event) return;
    this.place(last, position);
    this.up(position);
    this.down(last.position);
  }

  private place(event: Event, position: number): void {
    this.heap[position] = event;
    event.position = position;
  }

  private static before(a: Event, b: Event): boolean {
    return a.at < b.at || (a.at === b.at && a.sequence < b.sequence);
  }

  private up(from: number): void {
    const event = this.heap[from];
    let position = from;
    while (position > 0) {
      const parent = (position - 1) >> 1;
      if (!EventClock.before(event, this.heap[parent])) break;
      this.place(this.heap[parent], position);
      position = parent;
    }
    this.place(event, position);
  }

  private down(from: number): void {
    const event = this.heap[from];
    let position = from;
    for (;;) {
      let child = 2 * position + 1;
      if (child >= this.heap.length) break;
      if (child + 1 < this.heap.length && EventClock.before(this.heap[child + 1], this.heap[child])) child++;
      if (!EventClock.before(this.heap[child], event)) break;
      this.place(this.heap[child], position);
      position = child;
    }
    this.place(event, position);
  }
}
