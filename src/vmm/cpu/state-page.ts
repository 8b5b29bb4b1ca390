/**
 * The state page of a machine with several processors. Threaded code addresses the page with constants, so the processors take turns in it:
 * what belongs to a processor is copied out and in, word by word as this table says; the rest is the engine's and stays.
 */
import {
  ACTIVE_SPACE, BREAKPOINTS, BUDGET, BUS_PAGE_MASK, CONTEXT, COUNTERS, COUNTERS_MAX, EXIT_REASON, EXIT_RECORD, FAULT_ERROR, FAULT_VECTOR, FAULTS_DELIVERED, FPU_PENDING, HIDDEN_FAULTS_NOTED,
  INTERRUPT_MAY_WAIT, KIN_SPACES, LINEAR_WATCHES, OPERAND, PAGING_MODE, PAUSE_TOLD, READ_TABLE, REGION_EXACT, REGION_STOPPED, RETIRED, RUN_BUDGET, SCRATCH, STATE_END, TWIN_READ_TABLE, TWIN_SPACE, TWIN_WRITE_TABLE,
  WIDE_ARGUMENTS, WIDE_RESULT, WRITE_TABLE,
} from './layout';

interface SharedWords {
  readonly first: number;
  readonly bytes: number;
  readonly why: string;
}

/** In order of addresses. */
export const sharedWords: readonly SharedWords[] = [
  { first: CONTEXT, bytes: 4, why: 'interned anew before the next unit' },
  { first: READ_TABLE, bytes: 4, why: 'set when the address space is activated' },
  { first: WRITE_TABLE, bytes: 4, why: 'set when the address space is activated' },
  { first: BUDGET, bytes: 4, why: 'the run\'s' },
  { first: EXIT_REASON, bytes: 4, why: 'the run\'s' },
  { first: EXIT_RECORD, bytes: 4, why: 'the run\'s' },
  { first: FAULT_VECTOR, bytes: 4, why: 'read before a processor is left' },
  { first: FAULT_ERROR, bytes: 4, why: 'read before a processor is left' },
  { first: SCRATCH, bytes: 16, why: 'holds values within an instruction' },
  { first: RUN_BUDGET, bytes: 4, why: 'the run\'s' },
  { first: RETIRED, bytes: 8, why: 'the machine\'s clock' },
  { first: COUNTERS, bytes: COUNTERS_MAX, why: 'count the machine\'s events' },
  { first: WIDE_ARGUMENTS, bytes: 24, why: 'hold values within an instruction' },
  { first: WIDE_RESULT, bytes: 8, why: 'holds a value within an instruction' },
  { first: REGION_EXACT, bytes: 4, why: 'the run\'s' },
  { first: REGION_STOPPED, bytes: 4, why: 'the run\'s' },
  { first: PAUSE_TOLD, bytes: 4, why: 'the machine\'s' },
  { first: ACTIVE_SPACE, bytes: 4, why: 'set when the address space is activated' },
  { first: PAGING_MODE, bytes: 4, why: 'set when the address space is activated' },
  { first: TWIN_SPACE, bytes: 4, why: 'set when the address space is activated' },
  { first: TWIN_READ_TABLE, bytes: 4, why: 'set when the address space is activated' },
  { first: TWIN_WRITE_TABLE, bytes: 4, why: 'set when the address space is activated' },
  { first: INTERRUPT_MAY_WAIT, bytes: 4, why: 'set before each run' },
  { first: BREAKPOINTS, bytes: 4, why: 'the translator\'s' },
  { first: LINEAR_WATCHES, bytes: 4, why: 'set with the watches' },
  { first: BUS_PAGE_MASK, bytes: 4, why: 'the board\'s' },
  { first: HIDDEN_FAULTS_NOTED, bytes: 4, why: 'counts the machine\'s events' },
  { first: FAULTS_DELIVERED, bytes: 4, why: 'the run\'s' },
  { first: KIN_SPACES, bytes: 4, why: 'set when the address space is activated' },
  { first: FPU_PENDING, bytes: 4, why: 'holds a value within an instruction' },
  { first: OPERAND, bytes: 16, why: 'holds a value within an instruction' },
];

/** The other words, as ranges [first, end). */
const ownRanges: readonly (readonly [number, number])[] = [...sharedWords, { first: STATE_END, bytes: 0 }].reduce<[number, number][]>((ranges, { first, bytes }) => {
  const last = ranges[ranges.length - 1];
  last[1] = first;
  if (first === last[0]) ranges.pop();
  if (bytes > 0) ranges.push([first + bytes, STATE_END]);
  return ranges;
}, [[0, STATE_END]]);

/** What belongs to a processor in a page of STATE_END bytes, ready to be copied often. */
export class ProcessorPage {
  private readonly parts: readonly Uint8Array[];

  constructor(page: Uint8Array) {
    this.parts = ownRanges.map(([first, end]) => page.subarray(first, end));
  }

  copyFrom({ parts }: ProcessorPage): void {
    for (let n = 0; n < parts.length; n++) this.parts[n].set(parts[n]);
  }
}
