/** How the board's interrupts reach the I/O APIC: wiring that the board, the ACPI tables and the MultiProcessor table agree on. */

/** The input of an ISA interrupt: the timer is at 2, because the 8259A pair's INTR takes 0. */
export function ioApicInput(irq: number): number {
  return irq === 0 ? 2 : irq;
}

/** The system control interrupt: power management's, level-triggered. */
export const SCI_IRQ = 9;

/** Inputs 16 to 19 are PCI's four request lines. */
export const PCI_INPUT = 16;
