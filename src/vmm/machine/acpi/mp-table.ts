/**
 * The MultiProcessor configuration table for systems without ACPI (MultiProcessor Specification 1.4, chapter 4): processors, buses, the I/O APIC,
 * and which interrupt of which bus reaches which input.
 */
import { IO_APIC_BASE } from '../../devices/io-apic';
import { LOCAL_APIC_BASE } from '../../devices/local-apic';
import { requestOf } from '../../devices/pci/bus';
import { ioApicInput, PCI_INPUT, SCI_IRQ } from '../interrupt-routing';

const HEADER_BYTES = 44, POINTER_BYTES = 16;
const SPECIFICATION = 4, APIC_VERSION = 0x14, IO_APIC_VERSION = 0x20;
const PCI_BUS = 0, ISA_BUS = 1;
/** Entry types. */
const PROCESSOR = 0, BUS = 1, IO_APIC = 2, IO_INTERRUPT = 3, LOCAL_INTERRUPT = 4;
/** Interrupt types. */
const INT = 0, NMI = 1, EXT_INT = 3;
/** Polarity 1:0 and trigger 3:2: as the bus has it, or active high and level-triggered, or active low and level-triggered. */
const CONFORMS = 0, LEVEL_HIGH = 0x0d, LEVEL_LOW = 0x0f;
/** Processor flags: enabled, bootstrap. */
const ENABLED = 1, BOOTSTRAP = 2;
const EVERY_APIC = 0xff;
/** Slots that the table describes, as the PCI interrupt routing table does. */
const PCI_SLOTS = 16;

const ascii = (text: string): readonly number[] => Array.from(text, (c) => c.charCodeAt(0));
const word = (value: number): readonly number[] => [value & 0xff, (value >>> 8) & 0xff];
const dword = (value: number): readonly number[] => [...word(value), ...word(value >>> 16)];

function withChecksum(bytes: readonly number[], at: number): Uint8Array {
  const result = Uint8Array.from(bytes);
  result[at] = -result.reduce((sum, byte) => sum + byte, 0);
  return result;
}

export interface MpOptions {
  readonly processors: number;
  /** CPUID.1 EAX and EDX of the processors. */
  readonly signature: number;
  readonly features: number;
}

export function mpConfiguration({ processors, signature, features }: MpOptions): Uint8Array {
  const interrupt = (type: number, kind: number, flags: number, bus: number, source: number, apic: number, input: number): readonly number[] => (
    [type, kind, ...word(flags), bus, source, apic, input]);
  const ioApic = processors;
  const entries: (readonly number[])[] = [
    ...Array.from({ length: processors }, (_, n) => [
      PROCESSOR, n, APIC_VERSION, ENABLED | (n === 0 ? BOOTSTRAP : 0), ...dword(signature), ...dword(features), ...dword(0), ...dword(0),
    ]),
    [BUS, PCI_BUS, ...ascii('PCI   ')],
    [BUS, ISA_BUS, ...ascii('ISA   ')],
    [IO_APIC, ioApic, IO_APIC_VERSION, 1, ...dword(IO_APIC_BASE)],
    interrupt(IO_INTERRUPT, EXT_INT, CONFORMS, ISA_BUS, 0, ioApic, 0),
  ];
  for (let irq = 0; irq < 16; irq++) {
    if (irq !== 2) entries.push(interrupt(IO_INTERRUPT, INT, irq === SCI_IRQ ? LEVEL_HIGH : CONFORMS, ISA_BUS, irq, ioApic, ioApicInput(irq)));
  }
  for (let slot = 1; slot <= PCI_SLOTS; slot++) {
    for (let pin = 0; pin < 4; pin++) entries.push(interrupt(IO_INTERRUPT, INT, LEVEL_LOW, PCI_BUS, slot << 2 | pin, ioApic, PCI_INPUT + requestOf(slot, pin + 1)));
  }
  entries.push(
    interrupt(LOCAL_INTERRUPT, EXT_INT, CONFORMS, ISA_BUS, 0, EVERY_APIC, 0),
    interrupt(LOCAL_INTERRUPT, NMI, CONFORMS, ISA_BUS, 0, EVERY_APIC, 1),
  );
  const body = entries.flat();
  const header = [
    ...ascii('PCMP'), ...word(HEADER_BYTES + body.length), SPECIFICATION, 0, ...ascii('RINGSIDE'), ...ascii('PC          '), ...dword(0), ...word(0), ...word(entries.length),
    ...dword(LOCAL_APIC_BASE), ...word(0), 0, 0,
  ];
  return withChecksum([...header, ...body], 7);
}

/** The floating pointer structure: no default configuration, virtual wire mode after power-on. */
export function mpPointer(configuration: number): Uint8Array {
  return withChecksum([...ascii('_MP_'), ...dword(configuration), POINTER_BYTES / 16, SPECIFICATION, 0, 0, 0, 0, 0, 0], 10);
}
