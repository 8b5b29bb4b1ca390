/**
 * The record: 32 bytes of threaded code for one guest instruction (or one continuation). A handler gets the record's address,
 * does the instruction's work, and tail-calls the handler of the next record.
 */
export const RECORD_SIZE = 32;

/** Byte offsets of a record's fields. */
export const RecordField = {
  /** u32: index of the handler in the function table. */
  handler: 0,
  /** u16 ×2: state-page addresses of the first and second register operand. */
  registerA: 4,
  registerB: 6,
  /** u16 ×2: state-page addresses of base and index (ZERO if absent). */
  base: 8,
  index: 10,
  /** i32: displacement; in direct jumps and continuations: the linked record. */
  displacement: 12,
  link: 12,
  /** u64, in the place of base, index and displacement: an address or immediate of 64 bits (64-bit code). */
  wide: 8,
  /** i32: immediate; in direct jumps and continuations: the target EIP. */
  immediate: 16,
  target: 16,
  /** u16: state-page address of the memory operand's segment entry; in a checked link: unused. */
  segment: 20,
  /** u8: scale as a shift count. */
  scale: 22,
  /** u8: position of the instruction in its unit: how many were retired before it. */
  position: 23,
  /** u32: EIP of the instruction (offset in CS). */
  eip: 24,
  /** u8: length in bytes. */
  length: 28,
  /** u8: bits 0–1 operand size, bits 2–3 address size: 0 for 16, 1 for 32, 2 for 64 bits; for callouts. */
  sizes: 29,
  /** u16: second immediate (selector, nesting level) or register number. */
  second: 30,
  /**
   * Continuations. u32: state of a checked link: the lookup entry that the target's page must have. Of a distant one: bits 63–32 of the
   * target.
   */
  expected: 4,
  /** Continuations. u32: address of the link field to patch, or 0 when the continuation itself becomes the link. */
  owner: 8,
  /** Near returns. u32: where the instruction has led last. */
  returned: 4,
  /** Checked links. u32: where the target's page stands in a lookup table (byte offset of its entry). */
  page: 28,
} as const;

/** Handlers that no instruction declares. Their numbers are table indices; 0 stays empty so that a zeroed record traps. */
export const enum SpecialHandler {
  None,
  /** A continuation: asks the translator for the target, then goes there. */
  Continue,
  /** A patched continuation to a unit on the same page. */
  Goto,
  /** A patched continuation to another page: valid while the target page is mapped as it was. */
  GotoChecked,
  /** A record of a discarded unit: go on at its EIP through the translator. */
  Leave,
  /** Head of a unit whose instruction straddles two pages: valid while the second page is mapped as it was. */
  CheckPage,
  /** A debugger's breakpoint. */
  Breakpoint,
  /** 64-bit code: a continuation whose target has another upper half than the unit; never patched. */
  Distant,
  Count,
}

/** 64-bit code: which segment an access goes through (bits 8–9 of what a slow path is told; the low byte is its size). */
export const enum AccessSegment {
  Data,
  /** SS: a non-canonical address is #SS(0). */
  Stack,
  /** The one that the record names. */
  Record,
}

/** Why threaded code returned to the runner (EXIT_REASON). */
export const enum Exit {
  None,
  /** The budget is used up (or was withdrawn to force a look); EIP is exact. */
  Budget,
  /** A fault raised in place: FAULT_VECTOR, FAULT_ERROR; EXIT_RECORD names the instruction. */
  Fault,
  /** A fault raised by the runtime (a callout or a memory slow path); EXIT_RECORD names the instruction. */
  RuntimeFault,
  /** A debugger's breakpoint; EXIT_RECORD names the instruction, which has not run. */
  Breakpoint,
  /** The translator could not give a unit for EIP: a fault while fetching, kept by the engine. */
  Fetch,
  /** The translation cache is full. */
  CacheFull,
  /** As Budget, between two iterations of a repeated string instruction. */
  Repeating,
  /** A fault has been delivered: its handler is next. Only within threaded code. */
  Delivered,
}

/** Cap of a translation unit in guest instructions (Adams & Agesen, section 3.2). */
export const UNIT_CAP = 12;
