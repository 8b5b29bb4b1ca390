/**
 * 8042 keyboard controller at ports 0x60 and 0x64 and the fast A20/reset port 0x92. Commands act at once. Bytes of the keyboard and the mouse follow each other
 * in the output buffer at the pace of the serial link, so that reading port 0x60 twice gives the same byte twice, as programs expect.
 */
import { AtKeyboard } from './ps2';
import { Ps2Mouse, type Movement } from './ps2-mouse';
import { translateToSet1 } from './scancodes';
import type { Clock, Device, DeviceRegister, Line, PortRange, TimerHandle } from './device';

/** Status register. */
const OBF = 1, SYSTEM = 4, COMMAND_LAST = 8, UNLOCKED = 0x10, AUX_OBF = 0x20;
/** Command byte: interrupts 0–1, system flag 2, disables 4–5, translation 6. */
const KEYBOARD_IRQ = 1, AUX_IRQ = 2, KEYBOARD_OFF = 0x10, AUX_OFF = 0x20, TRANSLATE = 0x40;
/** Output port. */
const NOT_RESET = 1, A20 = 2;
/** Keys typed ahead; further ones are refused. A real keyboard holds 16 bytes, a script may type faster. */
const KEYS_MAX = 4096;
/** One byte takes about a millisecond on the wire. */
const BYTES_PER_SECOND = 1000;

type Source = 'controller' | 'keyboard' | 'mouse';

export interface KeyboardControllerOptions {
  readonly clock: Clock;
  /** IRQ 1 and IRQ 12. */
  readonly keyboardIrq: Line;
  readonly mouseIrq: Line;
  /** The A20 gate: true lets address line 20 through. Called on changes, and by reset (on). */
  readonly a20: Line;
  /** The guest pulses the processor's reset. */
  readonly resetRequested: () => void;
}

interface ControllerState {
  ram: number[];
  outputPort: number;
  /** Command that waits for its data byte, or 0. */
  awaiting: number;
  commandLast: boolean;
  selfTested: boolean;
  /** What port 0x60 shows, and whether it is new. */
  output: number;
  full: boolean;
  source: Source;
  replies: { value: number; source: Source }[];
  keys: number[];
  /** The keyboard's previous byte was the break prefix that translation absorbs. */
  breakPrefix: boolean;
}

export class KeyboardController implements Device {
  readonly id = 'keyboard';
  readonly title = '8042 keyboard controller';
  readonly registers: readonly DeviceRegister[] = [
    { address: 0x60, name: 'Data', description: 'Output buffer; writes go to the keyboard or are a command\'s argument' },
    {
      address: 0x60, index: 0, name: 'Command byte', description: 'Byte 0 of the controller\'s memory (commands 20h and 60h)',
      fields: [
        { name: 'TRANSLATE', bit: 6, width: 1 }, { name: 'AUX_OFF', bit: 5, width: 1 }, { name: 'KBD_OFF', bit: 4, width: 1 }, { name: 'SYSTEM', bit: 2, width: 1 },
        { name: 'AUX_IRQ', bit: 1, width: 1 }, { name: 'KBD_IRQ', bit: 0, width: 1 },
      ],
    },
    {
      address: 0x64, name: 'Status/command', description: 'Status when read, controller command when written',
      fields: [
        { name: 'PARITY', bit: 7, width: 1 }, { name: 'TIMEOUT', bit: 6, width: 1 }, { name: 'AUX', bit: 5, width: 1 }, { name: 'UNLOCKED', bit: 4, width: 1 },
        { name: 'COMMAND', bit: 3, width: 1 }, { name: 'SYSTEM', bit: 2, width: 1 }, { name: 'IBF', bit: 1, width: 1 }, { name: 'OBF', bit: 0, width: 1 },
      ],
    },
    {
      address: 0x64, index: 0xd0, name: 'Output port', description: 'Commands D0h and D1h',
      fields: [{ name: 'AUX_FULL', bit: 5, width: 1 }, { name: 'KBD_FULL', bit: 4, width: 1 }, { name: 'A20', bit: 1, width: 1 }, { name: 'NOT_RESET', bit: 0, width: 1 }],
    },
    { address: 0x92, name: 'System control port A', description: 'Fast A20 and reset', fields: [{ name: 'A20', bit: 1, width: 1 }, { name: 'RESET', bit: 0, width: 1 }] },
  ];
  readonly ports: readonly PortRange[] = [
    { first: 0x60, last: 0x60, read: () => this.readData(), write: (_port, value) => this.writeData(value & 0xff) },
    { first: 0x64, last: 0x64, read: () => this.readStatus(), write: (_port, value) => this.writeCommand(value & 0xff) },
    { first: 0x92, last: 0x92, read: () => this.state.outputPort & A20, write: (_port, value) => this.writePort92(value & 0xff) },
  ];

  private readonly keyboard = new AtKeyboard();
  private readonly mouse = new Ps2Mouse();
  private state = KeyboardController.powerOn();
  private timer: TimerHandle | undefined;
  private readonly levels = { keyboard: false, mouse: false };
  private a20Level: boolean | undefined;

  constructor(private readonly options: KeyboardControllerOptions) {}

  private static powerOn(): ControllerState {
    const ram = new Array<number>(32).fill(0);
    // As a BIOS leaves it: both interrupts, translation, mouse off.
    ram[0] = KEYBOARD_IRQ | SYSTEM | AUX_OFF | TRANSLATE;
    return {
      ram, outputPort: 0xcc | NOT_RESET | A20, awaiting: 0, commandLast: false, selfTested: true, output: 0, full: false, source: 'controller', replies: [], keys: [],
      breakPrefix: false,
    };
  }

  /** Keys as bytes of set 1, make and break. Returns how many were taken. */
  input(scancodes: readonly number[]): number {
    const { keys } = this.state;
    const taken = Math.min(scancodes.length, KEYS_MAX - keys.length);
    for (let i = 0; i < taken; i++) keys.push(scancodes[i] & 0xff);
    this.fill();
    return taken;
  }

  move(movement: Movement): void {
    this.mouse.move(movement);
    if (this.timer === undefined) this.fill();
  }

  get a20(): boolean {
    return (this.state.outputPort & A20) !== 0;
  }

  /** Scroll, Num and Caps Lock lights: bits 0–2. */
  get leds(): number {
    return this.keyboard.state.leds;
  }

  private readStatus(): number {
    const s = this.state;
    return (s.full ? OBF : 0) | (s.full && s.source === 'mouse' ? AUX_OBF : 0) | (s.selfTested ? SYSTEM : 0) | (s.commandLast ? COMMAND_LAST : 0) | UNLOCKED;
  }

  private readData(): number {
    const s = this.state;
    if (s.full) {
      s.full = false;
      this.drive();
      // The controller's own answers follow at once, bytes from the wire take their time.
      if (s.replies.length > 0 && s.replies[0].source === 'controller') this.fill();
      else if (s.replies.length > 0 || s.keys.length > 0) this.wait();
      else if (this.mouse.hasNews) this.wait(this.mouse.state.rate);
    }
    return s.output;
  }

  private wait(hertz = BYTES_PER_SECOND): void {
    const { clock } = this.options;
    this.timer ??= clock.schedule(clock.now() + Math.max(1, Math.floor(clock.instructionsPerSecond / Math.max(1, hertz))), () => { this.timer = undefined; this.fill(); });
  }

  private reply(source: Source, values: readonly number[]): void {
    const s = this.state;
    // A guest that only writes gets the last answers: nothing grows.
    if (s.replies.length > 64) s.replies.length = 0;
    for (const value of values) s.replies.push({ value, source });
    if (this.timer === undefined || source === 'controller') this.fill();
  }

  /** Puts the next byte into the output buffer when it is empty. */
  private fill(): void {
    const s = this.state;
    while (!s.full) {
      const next = s.replies.shift() ?? this.nextKey() ?? this.nextReport();
      if (next === undefined) return;
      let { value } = next;
      if (next.source === 'keyboard') {
        this.keyboard.state.lastSent = value;
        if (s.ram[0] & TRANSLATE) {
          if (value === 0xf0) {
            s.breakPrefix = true;
            continue;
          }
          value = translateToSet1(value) | (s.breakPrefix ? 0x80 : 0);
          s.breakPrefix = false;
        }
      }
      s.output = value;
      s.source = next.source;
      s.full = true;
      this.drive();
    }
  }

  private nextKey(): { value: number; source: Source } | undefined {
    const s = this.state;
    if (s.ram[0] & KEYBOARD_OFF) return undefined;
    while (s.keys.length > 0) {
      const codes = this.keyboard.encode(s.keys.shift()!);
      if (codes.length === 0) continue;
      for (const value of codes.slice(1)) s.replies.push({ value, source: 'keyboard' });
      return { value: codes[0], source: 'keyboard' };
    }
    return undefined;
  }

  private nextReport(): { value: number; source: Source } | undefined {
    if (this.state.ram[0] & AUX_OFF || !this.mouse.hasNews) return undefined;
    const [first, ...rest] = this.mouse.report();
    for (const value of rest) this.state.replies.push({ value, source: 'mouse' });
    return { value: first, source: 'mouse' };
  }

  private drive(): void {
    const s = this.state;
    const keyboard = s.full && s.source !== 'mouse' && (s.ram[0] & KEYBOARD_IRQ) !== 0;
    const mouse = s.full && s.source === 'mouse' && (s.ram[0] & AUX_IRQ) !== 0;
    if (keyboard !== this.levels.keyboard) this.options.keyboardIrq(this.levels.keyboard = keyboard);
    if (mouse !== this.levels.mouse) this.options.mouseIrq(this.levels.mouse = mouse);
  }

  private writeData(value: number): void {
    const s = this.state;
    s.commandLast = false;
    const { awaiting } = s;
    s.awaiting = 0;
    if (awaiting === 0) {
      s.ram[0] &= ~KEYBOARD_OFF;
      this.reply('keyboard', this.keyboard.command(value));
    } else if (awaiting >= 0x60 && awaiting < 0x80) {
      s.ram[awaiting & 31] = value;
      if (awaiting === 0x60) {
        this.drive();
        this.fill();
      }
    } else if (awaiting === 0xd1) {
      this.writeOutputPort(value);
    } else if (awaiting === 0xd2) {
      // The byte appears as it is, as if the keyboard had sent it.
      this.reply('controller', [value]);
    } else if (awaiting === 0xd3) {
      this.reply('mouse', [value]);
    } else if (awaiting === 0xd4) {
      s.ram[0] &= ~AUX_OFF;
      this.reply('mouse', this.mouse.command(value));
    }
  }

  private writeCommand(value: number): void {
    const s = this.state;
    s.commandLast = true;
    s.awaiting = 0;
    if (value >= 0x20 && value < 0x40) {
      this.reply('controller', [s.ram[value & 31]]);
      return;
    }
    if ((value >= 0x60 && value < 0x80) || (value >= 0xd1 && value <= 0xd4)) {
      s.awaiting = value;
      return;
    }
    if (value >= 0xf0) {
      // Pulses the bits that are 0; bit 0 is the processor's reset.
      if ((value & 1) === 0) this.options.resetRequested();
      return;
    }
    switch (value) {
      case 0xa4: this.reply('controller', [0xf1]); break; // no password
      case 0xa7: s.ram[0] |= AUX_OFF; break;
      case 0xa8: s.ram[0] &= ~AUX_OFF; this.fill(); break;
      case 0xa9: this.reply('controller', [0]); break;
      case 0xaa:
        s.selfTested = true;
        s.replies.length = 0;
        this.reply('controller', [0x55]);
        break;
      case 0xab: this.reply('controller', [0]); break;
      case 0xad: s.ram[0] |= KEYBOARD_OFF; break;
      case 0xae: s.ram[0] &= ~KEYBOARD_OFF; this.fill(); break;
      case 0xc0: this.reply('controller', [0xa0]); break; // not locked, colour display, manufacturing jumper open
      case 0xd0:
        this.reply('controller', [this.outputPort]);
        break;
      case 0xe0: this.reply('controller', [0]); break;
      default: break; // Unknown commands have no effect.
    }
  }

  private get outputPort(): number {
    return (this.state.outputPort & ~0x30) | (this.levels.keyboard ? 0x10 : 0) | (this.levels.mouse ? 0x20 : 0);
  }

  registerValues(): readonly number[] {
    const { output, ram } = this.state;
    return [output, ram[0], this.readStatus(), this.outputPort, this.state.outputPort & A20];
  }

  private writeOutputPort(value: number): void {
    this.state.outputPort = value;
    this.driveA20();
    if ((value & NOT_RESET) === 0) {
      this.state.outputPort |= NOT_RESET;
      this.options.resetRequested();
    }
  }

  private writePort92(value: number): void {
    const s = this.state;
    s.outputPort = (s.outputPort & ~A20) | (value & A20);
    this.driveA20();
    if (value & 1) this.options.resetRequested();
  }

  private driveA20(): void {
    if (this.a20Level === this.a20) return;
    this.a20Level = this.a20;
    this.options.a20(this.a20Level);
  }

  reset(): void {
    this.timer?.cancel();
    this.timer = undefined;
    this.state = KeyboardController.powerOn();
    this.keyboard.reset();
    this.mouse.reset();
    this.a20Level = undefined;
    this.driveA20();
    this.drive();
  }

  save(): unknown {
    return structuredCopy({ state: this.state, keyboard: this.keyboard.state, mouse: this.mouse.state, levels: this.levels });
  }

  restore(state: unknown): void {
    const saved = structuredCopy(state) as {
      state: ControllerState; keyboard: AtKeyboard['state']; mouse: Ps2Mouse['state']; levels: { keyboard: boolean; mouse: boolean };
    };
    this.state = saved.state;
    this.keyboard.state = saved.keyboard;
    this.mouse.state = saved.mouse;
    Object.assign(this.levels, saved.levels);
    this.driveA20();
    this.drive();
    if (!this.state.full && (this.state.replies.length > 0 || this.state.keys.length > 0 || this.mouse.hasNews)) this.wait();
  }
}

function structuredCopy(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}
