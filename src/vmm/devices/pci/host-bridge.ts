/**
 * The north bridge as software finds it on a board with the 440FX chip set (Intel 82441FX datasheet, 290549): identification, and the PAM registers that choose between
 * ROM and shadow RAM for each region from C0000h to FFFFFh. Memory timing and error registers hold what is written and have no other effect.
 */
import type { Device, DeviceRegister, PciFunction, PciLink } from '../device';

/** First of the seven PAM registers. */
export const PAM0 = 0x59;
const PAM_READ = 1, PAM_WRITE = 2;

interface Region {
  readonly register: number;
  readonly shift: 0 | 4;
  readonly first: number;
  readonly last: number;
}

/** PAM0's high half is the system BIOS; the other halves are regions of 16 KiB from C0000h. */
export const pamRegions: readonly Region[] = [
  { register: PAM0, shift: 4, first: 0xf0000, last: 0xfffff },
  ...Array.from({ length: 12 }, (_, n): Region => ({
    register: PAM0 + 1 + (n >> 1), shift: n & 1 ? 4 : 0, first: 0xc0000 + 0x4000 * n, last: 0xc3fff + 0x4000 * n,
  })),
];

const address = (value: number): string => `${value.toString(16).toUpperCase()}h`;

/** Bits 0 and 1: reads, and writes, of this part of the first MiB reach RAM. */
export type SetShadow = (first: number, last: number, bits: number) => void;

export class HostBridge implements Device, PciFunction {
  readonly id = 'host-bridge';
  readonly title = '440FX host bridge';
  readonly device = this;
  readonly slot = 0;
  readonly function = 0;
  readonly vendorId = 0x8086;
  readonly deviceId = 0x1237;
  readonly classCode = 0x060000;
  readonly revision = 2;
  readonly subsystemVendorId = 0x1af4;
  readonly subsystemId = 0x1100;
  readonly extra = [
    // Memory access and bus mastering are always on.
    { offset: 0x04, bytes: [0x06, 0x00], writable: [0x40, 0x01] },
    { offset: 0x50, bytes: [0x00, 0x00], writable: [0xff, 0xff] },
    { offset: PAM0, bytes: [0, 0, 0, 0, 0, 0, 0], writable: [0x30, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33] },
    { offset: 0x60, bytes: [0, 0, 0, 0, 0, 0, 0, 0], writable: [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff] },
    { offset: 0x72, bytes: [0x02], writable: [0x78] },
  ];
  readonly configurationRegisters: readonly DeviceRegister[] = [
    { address: 0x50, name: 'PMCCFG', description: 'PMC configuration' },
    ...Array.from({ length: 7 }, (_, n): DeviceRegister => {
      const halves = pamRegions.filter(({ register }) => register === PAM0 + n).sort((a, b) => b.shift - a.shift);
      return {
        address: PAM0 + n, name: `PAM${n}`, description: `Shadow RAM: ${halves.map(({ first, last }) => `${address(first)}–${address(last)}`).join(', ')}`,
        fields: halves.flatMap(({ first, shift }) => [{ name: `write ${address(first)}`, bit: shift + 1, width: 1 }, { name: `read ${address(first)}`, bit: shift, width: 1 }]),
      };
    }),
    { address: 0x60, name: 'DRB0–3', description: 'DRAM row boundaries' },
    { address: 0x64, name: 'DRB4–7', description: 'DRAM row boundaries' },
    { address: 0x72, name: 'SMRAM', description: 'System management RAM; there is no such mode, and the register has no effect' },
  ];

  private link: PciLink | undefined;

  constructor(private readonly setShadow: SetShadow) {}

  connect(link: PciLink): void {
    this.link = link;
  }

  configured(): void {
    if (!this.link) return;
    for (const { register, shift, first, last } of pamRegions) this.setShadow(first, last, (this.link.read(register, 1) >> shift) & (PAM_READ | PAM_WRITE));
  }

  /** All state is in configuration space. */
  reset(): void { /* the bus resets it */ }
  save(): unknown { return null; }
  restore(): void { /* the bus restores it */ }
}
