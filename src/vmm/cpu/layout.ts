/**
 * Where the processor state lives in the machine's WebAssembly.Memory.
 *
 * Threaded code addresses these bytes with constant offsets, TypeScript reaches them through typed arrays (see state.ts).
 * Everything below {@link STATE_END} fits in 16 bits so that a record can name a register by a 16-bit address.
 * General registers are 64-bit slots; an 8- or 16-bit register is the low bytes of its slot (AH is slot + 1).
 */

/** First general register slot; slot n is `GPR + 8 * n` with the hardware's numbering (RAX RCX RDX RBX RSP RBP RSI RDI R8…R15). */
export const GPR = 0x100;
/** Eight bytes that always hold zero: the base or index of an address form that has none. */
export const ZERO = 0x180;
/** Instruction pointer (64-bit slot). Exact whenever threaded code is not running; inside a unit the record names it. */
export const EIP = 0x188;

/**
 * Lazy arithmetic flags. Three words stand for OF, SF, ZF, AF, PF, CF:
 * ZF = (zero == 0); SF = bit 31 of sign; PF = even parity of the low byte of sign;
 * carry is the carry-out vector of the operation: CF = bit 31, OF = bit 31 ^ bit 30, AF = bit 3.
 * (Operations narrower than 32 bits shift their two top carries up to bits 31 and 30.)
 */
export const LAZY_ZERO = 0x190;
export const LAZY_SIGN = 0x194;
export const LAZY_CARRY = 0x198;
/** EFLAGS without the six arithmetic flags (TF IF DF IOPL NT RF VM AC VIF VIP ID; bit 1 always set). */
export const SYSTEM_FLAGS = 0x19c;

/**
 * Segment registers, in the encoding's order ES CS SS DS FS GS, then LDTR and TR: eight entries of {@link SEGMENT_SIZE} bytes.
 */
export const SEGMENTS = 0x200;
export const SEGMENT_SIZE = 32;
export const SEGMENT_FIELDS = {
  /** u32, the visible 16 bits. */
  selector: 0,
  /** u32, bits as in the VMX access-rights format (SDM Vol. 3, 24.4.1): type 0–3, S 4, DPL 5–6, P 7, AVL 12, L 13, D/B 14, G 15, unusable 16. */
  attributes: 4,
  /** u64 (hidden part). */
  base: 8,
  /** u32, in bytes, granularity already applied; the last valid offset, or for expand-down segments the last invalid one. */
  limit: 16,
  /** u32, the lowest valid offset (0 unless expand-down). */
  low: 20,
  /**
   * u32, quick limit check for reads: an access of up to 16 bytes at `offset` is inside when `(offset - low) >>> 0 < readQuick`.
   * 0 when no such offset exists or reads are not allowed. Offsets that fail the quick check get the exact one in TypeScript.
   */
  readQuick: 24,
  /** u32, the same for writes; 0 when the segment is not writable. */
  writeQuick: 28,
} as const;
export const enum Segment { ES, CS, SS, DS, FS, GS, LDTR, TR }

/** Descriptor-table registers: base u64, limit u32. */
export const GDTR_BASE = 0x300, GDTR_LIMIT = 0x308;
export const IDTR_BASE = 0x310, IDTR_LIMIT = 0x318;
/** Control registers, 64-bit slots. */
export const CR0 = 0x320, CR2 = 0x328, CR3 = 0x330, CR4 = 0x338, CR8 = 0x340;
/** Current privilege level, u32. Real mode 0, virtual-8086 mode 3. */
export const CPL = 0x348;
/** Debug registers DR0–DR7, 64-bit slots. */
export const DR = 0x350;
/** IA32_EFER, 64-bit slot. */
export const EFER = 0x390;

/** Identity of the translation context (code size, stack size, segment form, CS base and limit): u32, see translate/. */
export const CONTEXT = 0x3a0;
/** Host offsets of the lookup tables in force (see mmu/lookup.ts), u32 each. */
export const READ_TABLE = 0x3a4, WRITE_TABLE = 0x3a8;
/** i32: instructions that threaded code may still retire before it must leave; biased by the unit cap. */
export const BUDGET = 0x3ac;
/** u32: why threaded code left, see translate/exit.ts; 0 while it runs. */
export const EXIT_REASON = 0x3b0;
/** u32: the record that left (host offset). */
export const EXIT_RECORD = 0x3b4;
/** u32 / u32: vector and error code of a fault raised by threaded code. */
export const FAULT_VECTOR = 0x3b8, FAULT_ERROR = 0x3bc;
/** 16 bytes for values that do not fit a WebAssembly result. */
export const SCRATCH = 0x3c0;
/** u32: non-zero while the next instruction boundary must not take an interrupt: 1 behind STI, 2 behind MOV SS and POP SS (no debug trap either). */
export const INTERRUPT_SHADOW = 0x3d0;
/** i32: the budget with which the present run of threaded code began (same bias as BUDGET); retired = RUN_BUDGET - BUDGET. */
export const RUN_BUDGET = 0x3d4;
/** u64: instructions retired before the present run began. */
export const RETIRED = 0x3d8;

/** MSRs with storage of their own (msr.ts), 64-bit slots. TSC_OFFSET: what the time-stamp counter reads minus the instruction count. */
export const SYSENTER_CS = 0x3e0, SYSENTER_ESP = 0x3e8, SYSENTER_EIP = 0x3f0, TSC_OFFSET = 0x3f8;

/** Event counters: one u64 per row of counters.ts. */
export const COUNTERS = 0x400;
export const COUNTERS_MAX = 0x100;

/**
 * 64-bit values to and from callouts (see callouts.ts): the three arguments, and the result.
 */
export const WIDE_ARGUMENTS = 0x980;
export const WIDE_RESULT = 0x998;

/** The four PDPTE registers of PAE paging (SDM Vol. 3, 4.4.1), u64 each. */
export const PDPTES = 0x910;
export const PDPTES_END = PDPTES + 32;

/**
 * Long mode. CODE_HIGH: u32, bits 63–32 of RIP while 64-bit code runs: a record's EIP is the low half (units lie on one page). 0 otherwise.
 * The MSRs are 64-bit slots.
 */
export const CODE_HIGH = 0x930;
export const STAR = 0x938, LSTAR = 0x940, CSTAR = 0x948, SFMASK = 0x950, KERNEL_GS_BASE = 0x958, TSC_AUX = 0x960, PAT = 0x968, APIC_BASE = 0x970;

/** u32: 1 while a run has to end with exactly its budget, 0 while regions may overrun it (see translate/regions.ts). */
export const REGION_EXACT = 0x9a0;
/** u32: set by a region that stopped for the budget, so that whoever looks where execution stands knows that it was in one. */
export const REGION_STOPPED = 0x9a4;
/** u32: 1 when other processors could use the time of one that spins, so that PAUSE is told. */
export const PAUSE_TOLD = 0x9a8;

/**
 * The address space in force, u32 each: its number, and the paging mode (mmu/page-walk.ts). Its *twin* belongs to the same tables and the other side of
 * CPL 3: its number (-1 when it does not exist) and lookup tables, so that a change of privilege is an exchange of these words.
 */
export const ACTIVE_SPACE = 0x9ac, PAGING_MODE = 0x9b0, TWIN_SPACE = 0x9b4, TWIN_READ_TABLE = 0x9b8, TWIN_WRITE_TABLE = 0x9bc;
/** u32: 0 while no external interrupt can be waiting at the processor that runs; otherwise whoever turns interrupts on has to ask. */
export const INTERRUPT_MAY_WAIT = 0x9c0;
/** u32: how many places have a breakpoint of the debugger or of DR0–DR3. */
export const BREAKPOINTS = 0x9c4;
/**
 * u32 each, for page-functions.ts: linear watches that exist; the page numbers that the bus sees (A20); how many addresses wait in HIDDEN_FAULTS; 1 while
 * page faults may be delivered without anybody's being asked.
 */
export const LINEAR_WATCHES = 0x9cc, BUS_PAGE_MASK = 0x9d0, HIDDEN_FAULTS_NOTED = 0x9d4, FAULTS_DELIVERED = 0x9d8;
/** u32: a bit for each flat address space of the same tables as the one in force, which is among them. */
export const KIN_SPACES = 0x9dc;
/** u32: 1 from the delivery of a non-maskable interrupt to the next IRET: another one waits (SDM Vol. 3, 6.7.1). */
export const NMI_BLOCKED = 0x9c8;

/** XMM0–XMM15, 16 bytes each, and MXCSR (u32). */
export const XMM = 0xa00;
export const MXCSR = 0xb00;
/**
 * The x87 stack: physical registers R0–R7 in 16 bytes each, significand u64 at 0 (the MMX register of that number), sign and exponent u16
 * at 8. ST(i) is R((TOP + i) & 7).
 */
export const X87 = 0xb10;
/** u32 each: control word, status word without TOP, TOP, tags (bit n set: Rn is empty), last opcode; u64 each: last instruction and operand pointer; u32: their selectors. */
export const FPU_CONTROL = 0xb90, FPU_STATUS = 0xb94, FPU_TOP = 0xb98, FPU_EMPTY = 0xb9c, FPU_OPCODE = 0xba0;
export const FPU_IP = 0xba8, FPU_DP = 0xbb0, FPU_CS = 0xbb8, FPU_DS = 0xbbc;

/**
 * The last control transfers: a ring of {@link BRANCH_RING_ENTRIES} pairs {linear address of the transfer, of its target}, u64 each
 * (sign-extended as the processor has them), and the byte offset of the next pair to write.
 */
export const BRANCH_RING = 0xc00;
export const BRANCH_RING_ENTRIES = 32;
export const BRANCH_RING_NEXT = 0xe00;

/**
 * u32: who may not use the floating-point and vector units now. Bit 0: x87 (CR0.EM or TS); bit 1: MMX (as x87, or an unmasked x87 exception
 * is pending); bit 2: SSE (CR0.EM or TS, or CR4.OSFXSR clear). Kept by CpuState (updateFpuAccess); which fault it is decides the cold path.
 */
export const FPU_ACCESS = 0xbc0;
export const enum FpuAccess { X87 = 1, Mmx = 2, Sse = 4 }
/** 16 bytes: the memory operand of a vector instruction, loaded. */
export const OPERAND = 0xbd0;
/** u32: what an x87 store has to report once memory has taken its value (fpu/instructions.ts). */
export const FPU_PENDING = 0xbc4;

/** Model-specific registers that are but stored: 64-bit slots, given out by msr.ts. */
export const STORED_MSRS = 0xe10;
export const STORED_MSRS_END = 0x1000;

/** End of the architectural and bookkeeping state. */
export const STATE_END = 0x1000;

/** Constants of vector instructions (translate/vector-tables.ts). */
export const VECTOR_TABLES = 0x1000;

/** How often units were begun, where somebody counts (translate/tallies.ts): u64 each. */
export const TALLIES = 0x7f000;
export const TALLIES_MAX = 512;

/**
 * Indirect-branch cache: sets of two entries of 16 bytes {linear u32, context u32, record u32, expected lookup entry u32}. A Linux kernel that
 * forks and executes programs goes to some ten thousand places.
 */
export const JUMP_CACHE = 0x80000;
export const JUMP_CACHE_SETS = 0x4000;
/**
 * The same for 64-bit code: entries of 32 bytes {RIP u64, context u32, record u32, expected lookup entry u32}. Never-used entries are all ones.
 */
export const LONG_JUMP_CACHE = JUMP_CACHE + 2 * 16 * JUMP_CACHE_SETS;
/**
 * In 64-bit code READ_TABLE and WRITE_TABLE hold host offsets of hashed tables: LONG_TABLE_ENTRIES entries of 16 bytes, at index
 * (linear >> 12) & (LONG_TABLE_ENTRIES - 1): u64 linear address of the page (sign-extended, low 12 bits zero); u32 what a flat table has for a
 * page (host page address ^ low half of the linear page address, low bits set for guarded writes); u32 unused.
 * An empty entry's address must match no address that is looked for there: all ones, except in the last entry, where it is 0 (whose index is 0).
 */
export const LONG_TABLE_ENTRIES = 0x4000;
/** Threaded code (records of 32 bytes). */
export const CODE_CACHE = LONG_JUMP_CACHE + 2 * 32 * JUMP_CACHE_SETS;
export const CODE_CACHE_SIZE = 0x2000000;
/**
 * Which 64-byte granules of a frame of RAM hold translated code: one u64 a frame, bit n for bytes 64n … 64n+63. Threaded code that stores
 * into a page with code looks here before it asks the monitor.
 */
export const CODE_GRANULES = CODE_CACHE + CODE_CACHE_SIZE;
/** For 2.25 GiB: the largest RAM, and ROM images and frame buffers behind it. */
const CODE_GRANULES_SIZE = 0x480000;
/** Flat lookup tables: {@link LOOKUP_SPACES} address spaces of 32 bits, each a read and a write table of 2^20 entries of 4 bytes. */
export const LOOKUP = CODE_GRANULES + CODE_GRANULES_SIZE;
export const LOOKUP_TABLE_SIZE = 0x400000;
export const LOOKUP_SPACES = 8;
/** Hashed lookup tables: {@link HASHED_SPACES} address spaces of 64-bit code, each a read and a write table of {@link LONG_TABLE_ENTRIES}. */
export const HASHED_LOOKUP = LOOKUP + LOOKUP_SPACES * 2 * LOOKUP_TABLE_SIZE;
export const HASHED_TABLE_SIZE = LONG_TABLE_ENTRIES * 16;
export const HASHED_SPACES = 32;

/*
 * What memory virtualization knows about lookup entries, frames and pages: kept by the room mmu, and read and written by page-functions.ts, which serves the common
 * misses. Untouched stretches cost address space only.
 *
 * Lookup entries are the *nodes* of lists, one for each frame (mmu/lookup.ts): neighbours u32 each, marks u8; how many each stretch of a space has, u16.
 */
export const LOOKUP_NODES = LOOKUP_SPACES * 0x100000 + HASHED_SPACES * LONG_TABLE_ENTRIES;
export const NODE_NEXT = HASHED_LOOKUP + HASHED_SPACES * 2 * HASHED_TABLE_SIZE;
export const NODE_PREVIOUS = NODE_NEXT + 4 * LOOKUP_NODES;
export const NODE_MARKS = NODE_PREVIOUS + 4 * LOOKUP_NODES;
export const LOOKUP_FILLED = NODE_MARKS + LOOKUP_NODES;
/** By frame: first node + 1, u32; nodes, u16; intercepts (mmu/physical-memory.ts), u8; first use as a table, u32, and 1024 bits: entries that something was derived through (mmu/table-uses.ts). */
const MOST_FRAMES = CODE_GRANULES_SIZE / 8;
export const FRAME_NODES = LOOKUP_FILLED + 0x10000;
export const FRAME_NODE_COUNT = FRAME_NODES + 4 * MOST_FRAMES;
export const FRAME_INTERCEPTS = FRAME_NODE_COUNT + 2 * MOST_FRAMES;
export const FRAME_USES = FRAME_INTERCEPTS + MOST_FRAMES;
export const FRAME_DERIVED = FRAME_USES + 4 * MOST_FRAMES;
/** By page below 4 GiB: its frame, or -1, i32; its kind, u8 (mmu/physical-memory.ts). */
export const PAGE_FRAMES = FRAME_DERIVED + 128 * MOST_FRAMES;
export const PAGE_KINDS = PAGE_FRAMES + 0x400000;
/** Uses of frames as tables, by number (mmu/table-uses.ts): first page f64, next one of the same frame i32, space u8, level u8, 1 when large pages were entered through it u8. */
export const TABLE_USES = 0x8000;
export const USE_FIRST_PAGE = PAGE_KINDS + 0x100000;
export const USE_NEXT = USE_FIRST_PAGE + 8 * TABLE_USES;
export const USE_SPACE = USE_NEXT + 4 * TABLE_USES;
export const USE_LEVEL = USE_SPACE + TABLE_USES;
export const USE_LARGE = USE_LEVEL + TABLE_USES;
/** Linear addresses (u32) of instructions with hidden page faults that have not been counted by instruction yet: HIDDEN_FAULTS_NOTED of them. */
export const HIDDEN_FAULTS = USE_LARGE + TABLE_USES;
export const HIDDEN_FAULTS_MOST = 0x1000;
/** Bytes that ports below {@link PORT_LATCHES_MOST} have until the next write to any port, u16 each: with bit 8 set, or 0 for one that the board has to be asked for. */
export const PORT_LATCHES = HIDDEN_FAULTS + 4 * HIDDEN_FAULTS_MOST;
export const PORT_LATCHES_MOST = 0x100;
/** Guest RAM begins here (64 KiB-aligned). */
export const RAM = (PORT_LATCHES + 2 * PORT_LATCHES_MOST + 0xffff) & ~0xffff;
