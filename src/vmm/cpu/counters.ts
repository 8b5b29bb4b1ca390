/**
 * Every event that the monitor counts, declared once: the views, the command line, the tests and the documentation read these rows.
 * A counter is a u64 in the state page (see COUNTERS in layout.ts); its slot is its position in this table.
 */
import { COUNTERS } from './layout';

export interface CounterRow {
  readonly id: string;
  readonly title: string;
  /** What exactly one increment means. */
  readonly definition: string;
}

const rows = [
  { id: 'instructions', title: 'Instructions', definition: 'Guest instructions retired; every iteration of a repeated string instruction counts as one. With the ticks skipped, this is the machine\'s clock.' },
  { id: 'skippedTicks', title: 'Ticks skipped', definition: 'Ticks of the clock without an instruction: time that HLT slept through, and one for each exception delivered.' },
  { id: 'translationUnits', title: 'Translation units', definition: 'Units of at most 12 guest instructions translated to threaded code.' },
  { id: 'translatedInstructions', title: 'Instructions translated', definition: 'Guest instructions in those units.' },
  { id: 'continuationsCreated', title: 'Continuations created', definition: 'Exits of units that invoke the translator when first taken.' },
  { id: 'continuationsPatched', title: 'Continuations patched', definition: 'Continuations replaced by a direct link to the translated target (chained), or elided because the target was emitted right behind.' },
  { id: 'chainedJumps', title: 'Chained jumps', definition: 'Unit-to-unit transfers that went through a patched link.' },
  { id: 'indirectHits', title: 'Indirect hits', definition: 'Transfers through the dispatcher (indirect jumps, calls, returns, far transfers, re-entries) whose target was found in the jump cache.' },
  { id: 'indirectMisses', title: 'Indirect misses', definition: 'Transfers through the dispatcher that had to ask the translator for the target.' },
  { id: 'regionsTranslated', title: 'Regions translated', definition: 'Groups of hot units translated to one WebAssembly function.' },
  { id: 'regionsDiscarded', title: 'Regions discarded', definition: 'Regions given up because one of their units was discarded, or for want of room.' },
  { id: 'regionEntries', title: 'Region entries', definition: 'Entries into a region from threaded code or from another region. What happens inside one is counted by instructions only: no chained jumps, no last branches.' },
  { id: 'hiddenPageFaults', title: 'Hidden page faults', definition: 'Lookup-table misses that the guest\'s page tables allow: filled by the monitor, never seen by the guest.' },
  { id: 'truePageFaults', title: 'True page faults', definition: 'Lookup-table misses that the guest\'s page tables forbid: delivered to the guest as #PF.' },
  { id: 'traceFaults', title: 'Trace faults', definition: 'Guest writes that the monitor intercepted because memory is traced: into pages that hold page tables, or into 64 bytes that hold translated code.' },
  { id: 'codeInvalidations', title: 'Code invalidations', definition: 'Translation units discarded, or made anew where they are, because the guest wrote over their code.' },
  { id: 'callouts', title: 'Callouts', definition: 'Instructions executed by the monitor\'s runtime instead of in threaded code.' },
  { id: 'interrupts', title: 'Interrupts', definition: 'External interrupts delivered to the guest.' },
  { id: 'exceptions', title: 'Exceptions', definition: 'Faults, traps and aborts delivered to the guest (page faults included).' },
  { id: 'portReads', title: 'Port reads', definition: 'IN and INS accesses that reached the board.' },
  { id: 'portWrites', title: 'Port writes', definition: 'OUT and OUTS accesses that reached the board.' },
  { id: 'mmioAccesses', title: 'MMIO accesses', definition: 'Loads and stores that reached a memory-mapped device register.' },
  { id: 'addressSpaceSwitches', title: 'Address space switches', definition: 'Changes of the lookup tables in force (CR3 loads, privilege and mode changes).' },
] as const satisfies readonly CounterRow[];

export type CounterId = (typeof rows)[number]['id'];
export const counters: readonly (CounterRow & { readonly id: CounterId })[] = rows;

/** State-page address of a counter's u64. */
export function counterAddress(id: CounterId): number {
  return COUNTERS + 8 * rows.findIndex((row) => row.id === id);
}
