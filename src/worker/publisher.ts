/**
 * What the worker tells without being asked: the guest's output, and counters and the screen at the rates that the client wants.
 * Nothing is sent faster than the client consumes it (see Acknowledgement in protocol/messages.ts).
 */
import type { HostChannel } from '../protocol/channel';
import { outputBytes } from '../protocol/client';
import type { CounterSample, EventName, Events, HostMessage, RegisterSnapshot, Screen, ScreenText } from '../protocol/messages';
import { changedRectangles, sameFormat } from '../protocol/picture';

export interface Timer {
  cancel(): void;
}
export interface PublisherEnvironment {
  /** Milliseconds, monotonic. */
  now(): number;
  later(callback: () => void, milliseconds: number): Timer;
}
export interface PublisherSource {
  counters(): CounterSample;
  registers(): RegisterSnapshot;
  /** Whole. Nobody else keeps or changes its bytes. */
  screen(): Screen;
}

const maximumScreensInFlight = 2;
const maximumOutputInFlight = 0x10_0000;
/** Collected output is sent at the end of a slice, or when it is this long. */
const outputChunk = 0x1_0000;
const maximumHertz = 60;
const screenBytesPerMillisecond = 16_384;

interface Stream {
  milliseconds: number;
  due: number;
}

export class Publisher {
  private readonly pending: { name: 'serial' | 'debugPort'; port: number; chunks: Uint8Array[] }[] = [];
  private pendingBytes = 0;
  private outputInFlight = 0;
  private screensInFlight = 0;
  private readonly streams: Record<'counters' | 'screen', Stream> = { counters: { milliseconds: 0, due: 0 }, screen: { milliseconds: 0, due: 0 } };
  private timer: Timer | undefined;
  private lastScreen: Screen | undefined;

  constructor(private readonly channel: HostChannel, private readonly environment: PublisherEnvironment, private readonly source: PublisherSource) {}

  /** The guest has to wait until the client has consumed more. */
  get congested(): boolean {
    return this.outputInFlight > maximumOutputInFlight;
  }

  post<N extends EventName>(event: N, payload: Events[N]): void {
    this.outputInFlight += outputBytes(event, payload);
    this.channel.post({ event, payload } as HostMessage);
  }

  /** Collects guest output; {@link flush} sends it, one message for each run of bytes. */
  collect(name: 'serial' | 'debugPort', port: number, bytes: Uint8Array): void {
    const last = this.pending.at(-1);
    if (last && last.name === name && last.port === port) last.chunks.push(bytes.slice());
    else this.pending.push({ name, port, chunks: [bytes.slice()] });
    this.pendingBytes += bytes.length;
    if (this.pendingBytes >= outputChunk) this.flush();
  }

  flush(): void {
    this.pendingBytes = 0;
    for (const { name, port, chunks } of this.pending.splice(0)) {
      const bytes = concatenate(chunks);
      if (name === 'serial') this.post('serial', { port, bytes });
      else this.post('debugPort', { bytes });
    }
  }

  acknowledged(what: 'screen' | 'output', count: number): void {
    if (what === 'screen') {
      this.screensInFlight = Math.max(0, this.screensInFlight - count);
      this.poke();
    } else {
      this.outputInFlight = Math.max(0, this.outputInFlight - count);
    }
  }

  subscribe(rates: { countersHz: number; screenHz: number }): void {
    for (const [name, hertz] of [['counters', rates.countersHz], ['screen', rates.screenHz]] as const) {
      this.streams[name].milliseconds = hertz > 0 ? 1000 / Math.min(hertz, maximumHertz) : 0;
      this.streams[name].due = 0;
    }
    // A new reader has seen nothing yet.
    this.lastScreen = undefined;
    this.poke();
  }

  /** The machine may have changed: send what is due, and come back for what is due later. */
  poke(): void {
    const now = this.environment.now();
    let next = Infinity;
    for (const name of ['counters', 'screen'] as const) {
      const stream = this.streams[name];
      if (stream.milliseconds === 0) continue;
      if (now >= stream.due) {
        stream.due = now + stream.milliseconds;
        this.publish(name);
      } else {
        next = Math.min(next, stream.due);
      }
    }
    if (next === Infinity || this.timer) return;
    this.timer = this.environment.later(() => {
      this.timer = undefined;
      this.poke();
    }, next - now);
  }

  /** The machine stands still: the views get its last state at once. */
  settle(): void {
    this.streams.counters.due = this.streams.screen.due = 0;
    this.poke();
  }

  dispose(): void {
    this.timer?.cancel();
    this.streams.counters.milliseconds = this.streams.screen.milliseconds = 0;
  }

  private publish(name: 'counters' | 'screen'): void {
    if (name === 'counters') {
      this.post('counters', { ...this.source.counters(), registers: this.source.registers() });
      return;
    }
    if (this.screensInFlight >= maximumScreensInFlight) return;
    const screen = this.source.screen();
    const change = changeOf(this.lastScreen, screen);
    if (!change) return;
    this.lastScreen = screen;
    this.screensInFlight++;
    // Large pictures come less often: what follows the channel is slower than it.
    this.streams.screen.due += screenBytes(change) / screenBytesPerMillisecond;
    this.post('screen', change);
  }
}

/** What to send of a screen; undefined when it is as it was. */
function changeOf(before: Screen | undefined, now: Screen): Screen | undefined {
  if (now.kind === 'text') return before?.kind === 'text' && sameText(before, now) ? undefined : { ...now, cells: now.cells.slice() };
  if (before?.kind !== 'graphics' || !sameFormat(before, now)) return { ...now, rectangles: now.rectangles.map((part) => ({ ...part, pixels: part.pixels.slice() })) };
  const rectangles = changedRectangles(before, now);
  const sameColours = now.colours?.every((colour, n) => colour === before.colours?.[n]) ?? true;
  return rectangles.length === 0 && sameColours && before.mode === now.mode ? undefined : { ...now, rectangles };
}

function sameText(a: ScreenText, b: ScreenText): boolean {
  const same = (x: ArrayLike<number> | undefined, y: ArrayLike<number> | undefined): boolean => {
    if (!x || !y) return x === y;
    for (let n = 0; n < x.length; n++) if (x[n] !== y[n]) return false;
    return x.length === y.length;
  };
  return a.columns === b.columns && a.rows === b.rows && a.blinks === b.blinks && a.cell.width === b.cell.width && a.cell.height === b.cell.height
    && a.cursor.visible === b.cursor.visible && a.cursor.column === b.cursor.column && a.cursor.row === b.cursor.row
    && same(a.cells, b.cells) && same(a.colours, b.colours) && same(a.font, b.font);
}

function screenBytes(screen: Screen): number {
  return screen.kind === 'text' ? 0 : screen.rectangles.reduce((sum, { pixels }) => sum + pixels.length, 0);
}

function concatenate(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
