/**
 * The board described to the operating system: the differentiated system description table's definition block, as AML. PCI interrupts go through
 * the router's four links while the system uses the 8259A pair, and straight to the I/O APIC's inputs after it has said so (\_PIC).
 */
import { PIRQ_ROUTE } from '../../devices/pci/isa-bridge';
import { requestOf } from '../../devices/pci/bus';
import { HPET_BASE } from '../../devices/hpet';
import { SLEEP_TYPE_OFF } from '../../devices/acpi-pm';
import { PCI_INPUT } from '../interrupt-routing';
import {
  and, argument, bridgedMemory, bridgedPorts, busNumbers, byteField, configurationRegion, createWordField, device, dmaChannel, eisaId, fixedMemory, ifElse, integer, ioPorts, isaIrq, local, lowestBit, method,
  name, pack, path, processor, resources, returns, scope, sharedIrq, shiftLeft, store, subtract, type Aml,
} from './aml';

export interface DsdtOptions {
  readonly processors: number;
  /** COM ports on the board, 1 to 4. */
  readonly serialPorts: number;
}

/** Where PCI windows can be: from the end of the largest RAM to the I/O APIC. */
const PCI_MEMORY_FIRST = 0x80000000, PCI_MEMORY_LAST = 0xfebfffff;
const links = ['LNKA', 'LNKB', 'LNKC', 'LNKD'] as const;
const routes = ['PRQA', 'PRQB', 'PRQC', 'PRQD'] as const;
const SLOTS = 32, PINS = 4;
/** IRQs that the router's links can use. */
const LINK_IRQS = 1 << 5 | 1 << 10 | 1 << 11;
const ROUTE_OFF = 0x80;
const PRESENT = 0x0f, LINK_ON = 0x0b, LINK_OFF = 0x09;

function plugAndPlay(at: string, id: string, uid: number | undefined, descriptors: readonly Aml[], ...more: readonly Aml[]): Aml {
  return device(at, name('_HID', eisaId(id)), ...(uid === undefined ? [] : [name('_UID', integer(uid))]), name('_STA', integer(PRESENT)), name('_CRS', resources(...descriptors)), ...more);
}

const serial = [{ base: 0x3f8, irq: 4 }, { base: 0x2f8, irq: 3 }, { base: 0x3e8, irq: 4 }, { base: 0x2e8, irq: 3 }] as const;

function isaDevices({ serialPorts }: DsdtOptions): readonly Aml[] {
  return [
    plugAndPlay('PIC', 'PNP0000', undefined, [ioPorts(0x20, 2), ioPorts(0xa0, 2), ioPorts(0x4d0, 2), isaIrq(2)]),
    plugAndPlay('TIMR', 'PNP0100', undefined, [ioPorts(0x40, 4), isaIrq(0)]),
    plugAndPlay('DMAC', 'PNP0200', undefined, [ioPorts(0x00, 0x10), ioPorts(0x81, 0x0f), ioPorts(0xc0, 0x20), dmaChannel(4)]),
    plugAndPlay('RTC', 'PNP0B00', undefined, [ioPorts(0x70, 2), isaIrq(8)]),
    plugAndPlay('SPKR', 'PNP0800', undefined, [ioPorts(0x61, 1)]),
    plugAndPlay('PS2K', 'PNP0303', undefined, [ioPorts(0x60, 1), ioPorts(0x64, 1), isaIrq(1)]),
    plugAndPlay('PS2M', 'PNP0F13', undefined, [isaIrq(12)]),
    plugAndPlay('FDC0', 'PNP0700', undefined, [ioPorts(0x3f2, 4), ioPorts(0x3f7, 1), isaIrq(6), dmaChannel(2)]),
    ...serial.slice(0, serialPorts).map(({ base, irq }, n) => plugAndPlay(`COM${n + 1}`, 'PNP0501', n + 1, [ioPorts(base, 8), isaIrq(irq)])),
  ];
}

/** A link of the interrupt router: which IRQ one of PCI's four requests has. */
function link(n: number): Aml {
  const route = path(`\\_SB.PCI0.ISA.${routes[n]}`);
  const current = path('BUFF'), irqs = path('IRQS');
  return device(links[n],
    name('_HID', eisaId('PNP0C0F')), name('_UID', integer(n + 1)),
    name('_PRS', resources(sharedIrq(LINK_IRQS))),
    name('BUFF', resources(sharedIrq(0))),
    createWordField(current, 1, 'IRQS'),
    method('_STA', 0, false, ifElse(and(route, integer(ROUTE_OFF)), [returns(integer(LINK_OFF))]), returns(integer(LINK_ON))),
    method('_DIS', 0, false, store(integer(ROUTE_OFF), route)),
    method('_CRS', 0, true,
      ifElse(and(route, integer(ROUTE_OFF)), [store(integer(0), irqs)], [store(shiftLeft(integer(1), route), irqs)]),
      returns(current)),
    method('_SRS', 1, true,
      createWordField(argument(0), 1, 'WANT'),
      ifElse(lowestBit(path('WANT'), local(0)), [subtract(local(0), integer(1), local(0)), store(local(0), route)], [store(integer(ROUTE_OFF), route)])),
  );
}

/** _PRT: who gets the request of each pin of each slot. */
function routing(source: (request: number) => readonly [Aml, Aml]): Aml {
  return pack(...Array.from({ length: SLOTS * PINS }, (_, n) => {
    const slot = Math.floor(n / PINS), pin = n % PINS;
    const [target, index] = source(requestOf(slot, pin + 1));
    return pack(integer(slot * 0x10000 + 0xffff), integer(pin), target, index);
  }));
}

function pciBus(options: DsdtOptions): Aml {
  return device('PCI0',
    name('_HID', eisaId('PNP0A03')), name('_UID', integer(0)), name('_BBN', integer(0)),
    name('_CRS', resources(
      busNumbers(0, 0xff), ioPorts(0xcf8, 8), bridgedPorts(0, 0xcf7), bridgedPorts(0xd00, 0xffff), bridgedMemory(0xa0000, 0xbffff), bridgedMemory(PCI_MEMORY_FIRST, PCI_MEMORY_LAST),
    )),
    name('PRTP', routing((request) => [path(`\\_SB.${links[request]}`), integer(0)])),
    name('PRTA', routing((request) => [integer(0), integer(PCI_INPUT + request)])),
    method('_PRT', 0, false, ifElse(path('\\PICF'), [returns(path('PRTA'))]), returns(path('PRTP'))),
    device('ISA',
      name('_ADR', integer(0x00010000)),
      configurationRegion('PIRQ', PIRQ_ROUTE, 4),
      byteField('PIRQ', routes.map((route) => [route, 8])),
      ...isaDevices(options)),
    device('PMF', name('_ADR', integer(0x00010003))),
  );
}

const blocks = new Map<string, Aml>();

/** The definition block: everything behind the table's header. Written once for each kind of board: a machine needs it twice, and starts sooner by 10 ms without. */
export function definitionBlock(options: DsdtOptions): Aml {
  const key = `${options.processors} ${options.serialPorts}`;
  let block = blocks.get(key);
  if (!block) blocks.set(key, block = writtenBlock(options));
  return block;
}

function writtenBlock(options: DsdtOptions): Aml {
  return [
    name('\\PICF', integer(0)),
    method('\\_PIC', 1, false, store(argument(0), path('\\PICF'))),
    scope('\\_PR', ...Array.from({ length: options.processors }, (_, n) => processor(`C${n.toString(16).toUpperCase().padStart(3, '0')}`, n))),
    scope('\\_SB',
      pciBus(options),
      ...links.map((_, n) => link(n)),
      device('HPET', name('_HID', eisaId('PNP0103')), name('_UID', integer(0)), name('_STA', integer(PRESENT)), name('_CRS', resources(fixedMemory(HPET_BASE, 0x400)))),
    ),
    name('\\_S5', pack(integer(SLEEP_TYPE_OFF), integer(SLEEP_TYPE_OFF), integer(0), integer(0))),
  ].flat();
}
