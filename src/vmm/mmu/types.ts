/** Shapes that the memory virtualization room shares with the processor and the translator. */

/*
 * Linear addresses are numbers. Outside long mode they have 32 bits. A canonical 64-bit address is represented by its low 48 bits, which a
 * number holds exactly: 0xffffffff81000000 is 0xffff81000000. Whoever shows one to a person extends bit 47 again; what is not canonical is
 * refused (#GP or #SS) before it becomes such a number.
 */

/** The number that represents a canonical address, from its halves. */
export function linearNumber(low: number, high: number): number {
  return (high & 0xffff) * 0x100000000 + (low >>> 0);
}

/** The number that represents an address, or -1 for one that is not canonical. */
export function canonicalNumber(low: number, high: number): number {
  const top = high >> 15;
  return top === 0 || top === -1 ? linearNumber(low, high) : -1;
}

/** Upper half of the address that a number represents, bit 47 extended (signed). */
export function highHalf(linear: number): number {
  return Math.floor(linear / 0x100000000) << 16 >> 16;
}

/** A guest access that the guest's page tables forbid (or do not map). Thrown as a plain object: no stack trace is taken. */
export class PageFault {
  constructor(
    readonly linear: number,
    /** P 0, W/R 1, U/S 2, RSVD 3, I/D 4 (SDM Vol. 3, 4.7). */
    readonly errorCode: number,
  ) {}
}

/** The registers that paging depends on. */
export interface PagingState {
  readonly cr0: number;
  readonly cr3: number;
  readonly cr4: number;
  readonly efer: number;
  readonly cpl: number;
  /** CS.L with EFER.LMA: 64-bit code is running. */
  readonly code64?: boolean;
  /** EFLAGS.AC: frees the supervisor from SMAP, and has the accesses of programs checked for alignment. */
  readonly alignmentFlag?: boolean;
  /** The four PDPTE registers of PAE paging, low and high words in turn; looked at in that mode only. */
  readonly pdptes?: ArrayLike<number>;
}

/** 16: a vector, at SCRATCH. */
export type AccessBytes = 1 | 2 | 4 | 8 | 16;

/**
 * Whose access it is: the program's (true), the supervisor's (false), or an implicit one of the supervisor, which the processor makes by itself to descriptor
 * tables and TSS whatever the privilege level: EFLAGS.AC does not free those from SMAP (SDM Vol. 3, 4.6.1).
 */
export type Privilege = boolean | 'system';

/** Linear memory as TypeScript code reaches it. Throws PageFault. */
export interface LinearMemory {
  /** Up to 4 bytes: unsigned number. May cross pages. */
  read(linear: number, bytes: 1 | 2 | 4, user: Privilege): number;
  /** Checks the whole range before writing anything. */
  write(linear: number, bytes: 1 | 2 | 4, value: number, user: Privilege): void;
  /** Throws PageFault exactly as a write of `bytes` bytes would; changes nothing (A and D bits excepted). */
  probeWrite(linear: number, bytes: number, user: Privilege): void;
}

/** What a traced range is for; one mechanism serves all (memory_trace of the literature). */
export type TraceKind = 'code' | 'pageTable' | 'descriptorTable' | 'mmio' | 'watch';
