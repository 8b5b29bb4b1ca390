/** The bits of EFLAGS, the control and debug registers and of segment attributes, by the names of the SDM (Vol. 3, chapter 2 and 17). */

export const enum Flag {
  CF = 1 << 0, PF = 1 << 2, AF = 1 << 4, ZF = 1 << 6, SF = 1 << 7, TF = 1 << 8, IF = 1 << 9, DF = 1 << 10, OF = 1 << 11,
  IOPL = 3 << 12, NT = 1 << 14, RF = 1 << 16, VM = 1 << 17, AC = 1 << 18, VIF = 1 << 19, VIP = 1 << 20, ID = 1 << 21,
  /** Bit 1 reads as one. */
  Fixed = 1 << 1,
  Arithmetic = CF | PF | AF | ZF | SF | OF,
  All = Arithmetic | TF | IF | DF | IOPL | NT | RF | VM | AC | VIF | VIP | ID,
}

export const enum Cr0 {
  PE = 1 << 0, MP = 1 << 1, EM = 1 << 2, TS = 1 << 3, ET = 1 << 4, NE = 1 << 5, WP = 1 << 16, AM = 1 << 18,
  NW = 1 << 29, CD = 1 << 30, PG = 1 << 31,
}

export const enum Cr4 {
  VME = 1 << 0, PVI = 1 << 1, TSD = 1 << 2, DE = 1 << 3, PSE = 1 << 4, PAE = 1 << 5, MCE = 1 << 6, PGE = 1 << 7, PCE = 1 << 8, OSFXSR = 1 << 9,
  OSXMMEXCPT = 1 << 10, UMIP = 1 << 11, FSGSBASE = 1 << 16, PCIDE = 1 << 17, SMEP = 1 << 20, SMAP = 1 << 21,
}

/** IA32_EFER. */
export const enum Efer {
  /** SYSCALL and SYSRET exist; long mode is enabled, and active. */
  SCE = 1 << 0, LME = 1 << 8, LMA = 1 << 10,
  /** Execute-disable in PAE paging. */
  NXE = 1 << 11,
}

export const enum Dr6 {
  B0 = 1 << 0, B1 = 1 << 1, B2 = 1 << 2, B3 = 1 << 3,
  /** Debug-register access detected. */
  BD = 1 << 13,
  /** Single step. */
  BS = 1 << 14,
  /** Task switch to a TSS with its T flag set. */
  BT = 1 << 15,
}

export const enum Dr7 {
  /** Any access to the debug registers raises #DB. */
  GD = 1 << 13,
}

/** Segment attributes in the VMX access-rights format, see layout.ts. */
export const enum Attribute {
  TypeMask = 0xf,
  Accessed = 1 << 0,
  /** Data: writable. Code: readable. */
  ReadWrite = 1 << 1,
  /** Data: expand-down. Code: conforming. */
  ExpandDownOrConforming = 1 << 2,
  Code = 1 << 3,
  /** Code or data (clear: system). */
  S = 1 << 4,
  DplMask = 3 << 5,
  P = 1 << 7,
  AVL = 1 << 12, L = 1 << 13,
  /** Default operand size, stack-pointer size, upper bound of expand-down segments. */
  DB = 1 << 14,
  G = 1 << 15,
  Unusable = 1 << 16,
}

/** Present, read/write data, accessed, byte granular: what a segment holds in real mode. */
export const REAL_MODE_ATTRIBUTES = 0x93;
/** The same with DPL 3: what every segment holds in virtual-8086 mode, with limit FFFFh. */
export const VIRTUAL_8086_ATTRIBUTES = 0xf3;

/** Types of system descriptors (SDM Vol. 3, table 3-2). In long mode the 32-bit ones are the 64-bit ones, and the others do not exist. */
export const enum SystemType {
  TssAvailable16 = 1, Ldt = 2, TssBusy16 = 3, CallGate16 = 4, TaskGate = 5, InterruptGate16 = 6, TrapGate16 = 7,
  TssAvailable32 = 9, TssBusy32 = 11, CallGate32 = 12, InterruptGate32 = 14, TrapGate32 = 15,
}

export function attributeDpl(attributes: number): number {
  return (attributes >>> 5) & 3;
}
