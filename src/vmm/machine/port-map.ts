/** The I/O space of the board: which device answers at which of the 65,536 ports. */
import type { AccessSize, Device, PortRange } from '../devices/device';

const PORTS = 0x10000;

export class PortMap {
  private readonly ranges: PortRange[] = [];
  /** Index into {@link ranges} plus one; 0 where nothing answers. */
  private readonly owner = new Uint8Array(PORTS);

  /** Throws when two devices claim a port: a defect of the board. */
  add(device: Device): void {
    for (const range of device.ports ?? []) {
      this.ranges.push(range);
      if (this.ranges.length > 255) throw new Error('board: more than 255 port ranges');
      for (let port = range.first; port <= range.last; port++) {
        if (this.owner[port]) throw new Error(`board: ${device.id} claims port 0x${port.toString(16)}, which another device has`);
        this.owner[port] = this.ranges.length;
      }
    }
  }

  /** Nothing there reads as ones. An access that no device takes whole is made of bytes, low first, and wraps at the end of the space. */
  read(port: number, size: AccessSize): number {
    const range = this.ranges[this.owner[port] - 1] as PortRange | undefined;
    if (size === 1) return range ? range.read(port, 1) & 0xff : 0xff;
    if (range?.wide && port + size - 1 <= range.last) return range.read(port, size) >>> 0;
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.read((port + i) & 0xffff, 1) << (8 * i);
    return value >>> 0;
  }

  write(port: number, value: number, size: AccessSize): void {
    const range = this.ranges[this.owner[port] - 1] as PortRange | undefined;
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
