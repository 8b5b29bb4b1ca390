/**
 * The pair of Intel 8259A interrupt controllers of a PC: master at 0x20, slave at 0xA0 cascaded into IR2, edge/level control at 0x4D0.
 * Behaviour after the 8259A datasheet (231468-003): the request latch of an edge-triggered input is lost when the line falls before the
 * acknowledge, and an acknowledge that finds no request answers with level 7 without setting its in-service bit.
 */
import type { Device, DeviceRegister, Line, PortRange } from './device';

interface ChipState {
  irr: number;
  isr: number;
  imr: number;
  /** Levels of the eight inputs. */
  lines: number;
  elcr: number;
  /** ICW1.LTIM: all inputs level-triggered. */
  levelTriggered: boolean;
  vectorBase: number;
  /** The level with the lowest priority at present; the one above it is the highest. */
  lowest: number;
  autoEoi: boolean;
  rotateOnAutoEoi: boolean;
  specialMask: boolean;
  specialFullyNested: boolean;
  readIsr: boolean;
  poll: boolean;
  /** Next initialization word expected: 0 none, else 2, 3 or 4. */
  expecting: number;
  needsIcw4: boolean;
  single: boolean;
}

function powerOn(): ChipState {
  return {
    irr: 0, isr: 0, imr: 0xff, lines: 0, elcr: 0, levelTriggered: false, vectorBase: 0, lowest: 7, autoEoi: false, rotateOnAutoEoi: false,
    specialMask: false, specialFullyNested: false, readIsr: false, poll: false, expecting: 0, needsIcw4: false, single: false,
  };
}

class Chip {
  state = powerOn();

  constructor(
    private readonly master: boolean,
    /** Bits of the edge/level register that can be set (system lines are always edge-triggered). */
    private readonly elcrMask: number,
    private readonly changed: () => void,
  ) {}

  reset(): void {
    const { lines } = this.state;
    this.state = powerOn();
    this.state.lines = lines;
  }

  setLine(input: number, level: boolean): void {
    const s = this.state;
    const bit = 1 << input;
    if (((s.lines & bit) !== 0) === level) return;
    if (level) {
      s.lines |= bit;
      s.irr |= bit;
    } else {
      s.lines &= ~bit;
      s.irr &= ~bit;
    }
    this.changed();
  }

  /** The level that would be acknowledged now, or -1. Fully nested: only a level of higher priority than every one in service. */
  pending(): number {
    const s = this.state;
    const requests = s.irr & ~s.imr;
    if (requests === 0) return -1;
    let inService = s.isr;
    if (s.specialMask) inService &= ~s.imr;
    if (s.specialFullyNested && this.master) inService &= ~4;
    for (let i = 1; i <= 8; i++) {
      const level = (s.lowest + i) & 7;
      if (inService & (1 << level)) return -1;
      if (requests & (1 << level)) return level;
    }
    return -1;
  }

  /** INTA for this chip: the level taken, or -1 for a spurious one. */
  acknowledge(): number {
    const s = this.state;
    const level = this.pending();
    if (level < 0) return -1;
    const bit = 1 << level;
    if (!this.isLevelTriggered(bit)) s.irr &= ~bit;
    if (s.autoEoi) {
      if (s.rotateOnAutoEoi) s.lowest = level;
    } else {
      s.isr |= bit;
    }
    return level;
  }

  private isLevelTriggered(bit: number): boolean {
    return this.state.levelTriggered || (this.state.elcr & bit) !== 0;
  }

  private highestInService(): number {
    const s = this.state;
    const inService = s.specialMask ? s.isr & ~s.imr : s.isr;
    for (let i = 1; i <= 8; i++) {
      const level = (s.lowest + i) & 7;
      if (inService & (1 << level)) return level;
    }
    return -1;
  }

  /** The data port is the mask, as it is without a poll command. */
  get readsMask(): boolean {
    return !this.state.poll;
  }

  read(dataPort: boolean): number {
    const s = this.state;
    if (s.poll) {
      // The read after a poll command takes the place of the acknowledge cycle.
      s.poll = false;
      const level = this.acknowledge();
      this.changed();
      return level < 0 ? 0 : 0x80 | level;
    }
    if (dataPort) return s.imr;
    return s.readIsr ? s.isr : s.irr;
  }

  write(dataPort: boolean, value: number): void {
    if (dataPort) this.writeData(value);
    else if (value & 0x10) this.writeIcw1(value);
    else if (value & 0x08) this.writeOcw3(value);
    else this.writeOcw2(value);
    this.changed();
  }

  private writeIcw1(value: number): void {
    const s = this.state;
    const { lines, elcr } = s;
    Object.assign(s, powerOn(), { lines, elcr, imr: 0, expecting: 2 });
    s.needsIcw4 = (value & 1) !== 0;
    s.single = (value & 2) !== 0;
    s.levelTriggered = (value & 8) !== 0;
    // The edge-sense latches are cleared: an edge-triggered input needs a new rising edge.
    s.irr = s.levelTriggered ? lines : lines & elcr;
  }

  private writeData(value: number): void {
    const s = this.state;
    switch (s.expecting) {
      case 2:
        s.vectorBase = value & 0xf8;
        s.expecting = s.single ? (s.needsIcw4 ? 4 : 0) : 3;
        break;
      case 3:
        // The cascade is wired (IR2, identity 2); the word is taken and has no other effect.
        s.expecting = s.needsIcw4 ? 4 : 0;
        break;
      case 4:
        s.autoEoi = (value & 2) !== 0;
        s.specialFullyNested = (value & 0x10) !== 0;
        s.expecting = 0;
        break;
      default:
        s.imr = value;
    }
  }

  private writeOcw2(value: number): void {
    const s = this.state;
    const level = value & 7;
    switch (value >> 5) {
      case 0: s.rotateOnAutoEoi = false; break;
      case 4: s.rotateOnAutoEoi = true; break;
      case 1:
      case 5: {
        const highest = this.highestInService();
        if (highest < 0) break;
        s.isr &= ~(1 << highest);
        if (value & 0x80) s.lowest = highest;
        break;
      }
      case 3: s.isr &= ~(1 << level); break;
      case 7: s.isr &= ~(1 << level); s.lowest = level; break;
      case 6: s.lowest = level; break;
    }
  }

  private writeOcw3(value: number): void {
    const s = this.state;
    if (value & 0x40) s.specialMask = (value & 0x20) !== 0;
    if (value & 0x04) s.poll = true;
    else if (value & 0x02) s.readIsr = (value & 1) !== 0;
  }

  readElcr(): number {
    return this.state.elcr;
  }

  writeElcr(value: number): void {
    const s = this.state;
    s.elcr = value & this.elcrMask;
    s.irr |= s.lines & s.elcr;
    this.changed();
  }
}

const ocwFields = [{ name: 'R/SL/EOI', bit: 5, width: 3 }, { name: 'ICW1/OCW3', bit: 3, width: 2 }, { name: 'level', bit: 0, width: 3 }] as const;

/** What a chip keeps behind its two ports, with a bit for each of its inputs. */
function chipRows(chip: string, port: number, firstIrq: number): DeviceRegister[] {
  const inputs = Array.from({ length: 8 }, (_, n) => ({ name: `IRQ${firstIrq + 7 - n}`, bit: 7 - n, width: 1 }));
  return [
    { address: port, name: `${chip} command`, description: 'ICW1, OCW2, OCW3; reads IRR, ISR or the poll answer', fields: ocwFields },
    { address: port, name: `${chip} IRR`, description: 'Requests that wait', fields: inputs },
    { address: port, name: `${chip} ISR`, description: 'Requests in service', fields: inputs },
    { address: port + 1, name: `${chip} IMR`, description: 'Interrupt mask (OCW1); ICW2–ICW4 while initializing', fields: inputs },
    { address: port + 1, name: `${chip} ICW2`, description: 'Vector of the first input' },
  ];
}

export class PicPair implements Device {
  readonly id = 'pic';
  readonly title = '8259A interrupt controllers';
  readonly registers: readonly DeviceRegister[] = [
    ...chipRows('Master', 0x20, 0),
    ...chipRows('Slave', 0xa0, 8),
    { address: 0x4d0, name: 'ELCR1', description: 'Edge/level control of IRQ 3–7: 1 is level-triggered' },
    { address: 0x4d1, name: 'ELCR2', description: 'Edge/level control of IRQ 9–12, 14, 15' },
  ];
  readonly ports: readonly PortRange[];
  /** The sixteen request inputs. IRQ 2 is the cascade and is not wired to the outside; driving it reaches IRQ 9, as on a PC/AT. */
  readonly irq: readonly Line[];

  private readonly chips: readonly [Chip, Chip];
  private output = false;
  private updating = false;

  /** @param intr the INTR pin of the processor; told of changes only. */
  constructor(private readonly intr: Line) {
    const changed = (): void => this.update();
    this.chips = [new Chip(true, 0xf8, changed), new Chip(false, 0xde, changed)];
    this.irq = Array.from({ length: 16 }, (_, n): Line => {
      if (n >= 8) return (level) => this.chips[1].setLine(n - 8, level);
      return n === 2 ? (level) => this.chips[1].setLine(1, level) : (level) => this.chips[0].setLine(n, level);
    });
    const pair = (first: number, chip: Chip): PortRange => ({
      first, last: first + 1,
      // OCW1, the mask. In poll mode every read is another thing.
      latched: (port) => port !== first && chip.readsMask,
      read: (port) => chip.read(port !== first),
      write: (port, value) => chip.write(port !== first, value & 0xff),
    });
    this.ports = [
      pair(0x20, this.chips[0]), pair(0xa0, this.chips[1]),
      { first: 0x4d0, last: 0x4d1, read: (port) => this.chips[port & 1].readElcr(), write: (port, value) => this.chips[port & 1].writeElcr(value) },
    ];
  }

  /** Level of the INTR output. */
  get interruptRequested(): boolean {
    return this.output;
  }

  /** The processor's interrupt acknowledge: the vector, IRQ 7's or IRQ 15's when the request has gone meanwhile (spurious). */
  acknowledge(): number {
    const [master, slave] = this.chips;
    const level = master.acknowledge();
    let vector: number;
    if (level < 0) {
      vector = master.state.vectorBase + 7;
    } else if (level === 2) {
      // With a spurious slave request the master's bit 2 stays in service: handlers end it with an EOI to the master only.
      const inner = slave.acknowledge();
      vector = slave.state.vectorBase + (inner < 0 ? 7 : inner);
    } else {
      vector = master.state.vectorBase + level;
    }
    this.update();
    return vector;
  }

  private update(): void {
    // Driving the cascade line re-enters through the master's change callback.
    if (this.updating) return;
    this.updating = true;
    const slavePending = this.chips[1].pending() >= 0;
    // A slave that still has a request after an acknowledge raises its output anew: the master must see an edge.
    if (slavePending && (this.chips[0].state.irr & 4) === 0) this.chips[0].setLine(2, false);
    this.chips[0].setLine(2, slavePending);
    this.updating = false;
    const level = this.chips[0].pending() >= 0;
    if (level !== this.output) {
      this.output = level;
      this.intr(level);
    }
  }

  registerValues(): readonly (number | undefined)[] {
    const states = this.chips.map((chip) => chip.state);
    return [...states.flatMap(({ irr, isr, imr, vectorBase }) => [undefined, irr, isr, imr, vectorBase]), ...states.map(({ elcr }) => elcr)];
  }

  reset(): void {
    for (const chip of this.chips) chip.reset();
    this.update();
  }

  save(): unknown {
    return this.chips.map((chip) => ({ ...chip.state }));
  }

  restore(state: unknown): void {
    const [master, slave] = state as [ChipState, ChipState];
    this.chips[0].state = { ...master };
    this.chips[1].state = { ...slave };
    this.update();
  }
}
