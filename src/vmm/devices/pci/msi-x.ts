/**
 * MSI-X (PCI Local Bus Specification 3.0, 6.8.2): a capability, and a window with a table of vectors, each of which is a message to write when its event happens, and of
 * the events that wait behind a mask.
 */
import type { AccessSize, DeviceRegister, PciBar, PciLink } from '../device';

const CAPABILITY = 0x11;
const ENABLE = 0x8000, FUNCTION_MASK = 0x4000;
const ENTRY_BYTES = 16, PENDING = 0x800, BAR_BYTES = 0x1000;
const VECTORS_MAX = PENDING / ENTRY_BYTES;
const MASKED = 1;
/** Words of an entry. */
const ADDRESS = 0, ADDRESS_HIGH = 1, DATA = 2, CONTROL = 3;

const entryRegisters = [
  { name: 'message address', description: 'Where the message is written' }, { name: 'message upper address', description: 'Bits 63–32 of it' },
  { name: 'message data', description: 'What is written' }, { name: 'vector control', description: 'Mask', fields: [{ name: 'masked', bit: 0, width: 1 }] },
] as const;

export class MsiX {
  /** Of 12 bytes. */
  readonly capability: { readonly offset: number; readonly bytes: readonly number[]; readonly writable: readonly number[] };
  readonly bar: PciBar = { kind: 'memory', bytes: BAR_BYTES, read: (offset, size) => this.read(offset, size), write: (offset, value, size) => this.write(offset, value, size) };
  /** The table as registers for views. */
  readonly registers: readonly DeviceRegister[];
  private readonly table: Uint32Array;
  private pending = 0;

  /**
   * @param vectors at most 32.
   * @param offset of the capability in configuration space, and of the next one.
   * @param bar that the function puts {@link bar} at.
   */
  constructor(private readonly vectors: number, private readonly offset: number, next: number, bar: number) {
    if (vectors > Math.min(32, VECTORS_MAX)) throw new RangeError(`${vectors} MSI-X vectors; 32 fit`);
    this.table = new Uint32Array(4 * vectors);
    const size = vectors - 1;
    this.capability = {
      offset, bytes: [CAPABILITY, next, size & 0xff, size >> 8, bar, 0, 0, 0, bar, PENDING >> 8, 0, 0], writable: [0, 0, 0, (ENABLE | FUNCTION_MASK) >> 8],
    };
    this.registers = Array.from({ length: vectors }, (_, n) => entryRegisters.map((row, word) => ({ ...row, address: ENTRY_BYTES * n + 4 * word, index: n, bits: 32, name: `vector ${n}: ${row.name}` }))).flat();
    this.reset();
  }

  registerValues(): readonly number[] {
    return [...this.table];
  }

  private control(link: PciLink): number {
    return link.read(this.offset + 2, 2);
  }

  /** Messages take the place of INTx. */
  enabled(link: PciLink): boolean {
    return (this.control(link) & ENABLE) !== 0;
  }

  private link: PciLink | undefined;

  connect(link: PciLink): void {
    this.link = link;
  }

  /** The event of a vector happens. */
  signal(vector: number): void {
    if (vector >= this.vectors) return;
    this.pending |= 1 << vector;
    this.send();
  }

  /** Writes the messages that nothing holds back. */
  private send(): void {
    const { link, table } = this;
    if (!link || this.pending === 0 || (this.control(link) & (ENABLE | FUNCTION_MASK)) !== ENABLE) return;
    for (let n = 0; n < this.vectors; n++) {
      if (!(this.pending & (1 << n)) || table[4 * n + CONTROL] & MASKED) continue;
      this.pending &= ~(1 << n);
      // Interrupt controllers lie below 4 GiB; elsewhere the message is a write that nobody hears.
      if (table[4 * n + ADDRESS_HIGH] === 0) link.message(table[4 * n + ADDRESS], table[4 * n + DATA]);
    }
  }

  /** Software wrote configuration space. */
  configured(): void {
    this.send();
  }

  private read(offset: number, size: AccessSize): number {
    const word = offset >= PENDING ? (offset < PENDING + 4 ? this.pending : 0) : this.table[offset >> 2] ?? 0;
    const value = word >>> (8 * (offset & 3));
    return size === 4 ? value : value & (2 ** (8 * size) - 1);
  }

  /** Doublewords; the specification leaves others undefined. */
  private write(offset: number, value: number, size: AccessSize): void {
    const word = offset >> 2;
    if (size !== 4 || word >= this.table.length) return;
    this.table[word] = word % 4 === CONTROL ? value & MASKED : word % 4 === ADDRESS ? value & ~3 : value;
    this.send();
  }

  reset(): void {
    this.table.fill(0);
    for (let n = 0; n < this.vectors; n++) this.table[4 * n + CONTROL] = MASKED;
    this.pending = 0;
  }

  save(): unknown {
    return { table: [...this.table], pending: this.pending };
  }

  restore(state: unknown): void {
    const { table, pending } = state as { table: readonly number[]; pending: number };
    this.table.set(table);
    this.pending = pending;
  }
}
