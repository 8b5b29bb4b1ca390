/** The I/O space of the board: which device answers at which of the 65,536 ports. */
import type { AccessSize, Device, PortRange } from '../devices/device';

const PORTS = 0x10000;

export class PortMap {
  /** By slot; a slot that a moved range has left is undefined and used again. */
  private readonly ranges: (PortRange | undefined)[] = [];
  /** Index into {@link ranges} plus one; 0 where nothing answers. */
  private readonly owner = new Uint16Array(PORTS);
  /** Ranges that the guest has placed, oldest first. */
  private readonly movable: PortRange[] = [];

  /** Throws when two devices claim a port: a defect of the board. */
  add(device: Device): void {
    for (const range of device.ports ?? []) {
      const slot = this.slotFor(range);
      for (let port = range.first; port <= range.last; port++) {
        if (this.owner[port]) throw new Error(`board: ${device.id} claims port 0x${port.toString(16)}, which another device has`);
        this.owner[port] = slot;
      }
    }
  }

  /** Places a range where the guest wants it: it answers where no device of the board does, nor an older range. */
  map(range: PortRange): void {
    this.movable.push(range);
    this.claim(range, range.first, range.last);
  }

  unmap(range: PortRange): void {
    this.movable.splice(this.movable.indexOf(range), 1);
    const slot = this.ranges.indexOf(range);
    this.ranges[slot] = undefined;
    for (let port = range.first; port <= range.last; port++) if (this.owner[port] === slot + 1) this.owner[port] = 0;
    for (const other of this.movable) this.claim(other, range.first, range.last);
  }

  private slotFor(range: PortRange): number {
    const known = this.ranges.indexOf(range);
    if (known >= 0) return known + 1;
    const free = this.ranges.indexOf(undefined);
    if (free >= 0) this.ranges[free] = range;
    else this.ranges.push(range);
    return (free >= 0 ? free : this.ranges.length - 1) + 1;
  }

  /** The free ports of a range between `first` and `last`. */
  private claim(range: PortRange, first: number, last: number): void {
    const slot = this.slotFor(range);
    for (let port = Math.max(first, range.first); port <= Math.min(last, range.last); port++) if (!this.owner[port]) this.owner[port] = slot;
  }

  /** Nothing there reads as ones. An access that no device takes whole is made of bytes, low first, and wraps at the end of the space. */
  read(port: number, size: AccessSize): number {
    const range = this.ranges[this.owner[port] - 1];
    if (size === 1) return range ? range.read(port, 1) & 0xff : 0xff;
    if (range?.wide && port + size - 1 <= range.last) return range.read(port, size) >>> 0;
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.read((port + i) & 0xffff, 1) << (8 * i);
    return value >>> 0;
  }

  /** See PortRange.latched. */
  latched(port: number): boolean {
    return this.ranges[this.owner[port] - 1]?.latched?.(port) ?? false;
  }

  write(port: number, value: number, size: AccessSize): void {
    const range = this.ranges[this.owner[port] - 1];
    if (size === 1) {
      range?.write(port, value & 0xff, 1);
      return;
    }
    if (range?.wide && port + size - 1 <= range.last) {
      range.write(port, value >>> 0, size);
      return;
    }
    for (let i = 0; i < size; i++) this.write((port + i) & 0xffff, value >>> (8 * i), 1);
  }
}
