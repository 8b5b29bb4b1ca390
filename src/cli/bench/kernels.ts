/**
 * The guests of `ringside bench`: a row each, with the source text beside it in kernels/. All stand in kernels/frame.inc, a Multiboot 1 image that every
 * machine of the comparison boots unchanged, and all verify their own result.
 */
import { assemble } from '../../vmm/asm/assembler';
import alu from './kernels/alu.asm';
import alu64 from './kernels/alu64.asm';
import besideCode from './kernels/beside-code.asm';
import chain16 from './kernels/chain16.asm';
import cr3 from './kernels/cr3.asm';
import crc32 from './kernels/crc32.asm';
import fib from './kernels/fib.asm';
import fib64 from './kernels/fib64.asm';
import frame from './kernels/frame.inc';
import interpreter from './kernels/interpreter.asm';
import invlpg from './kernels/invlpg.asm';
import long from './kernels/long.inc';
import matmul from './kernels/matmul.asm';
import memcpyLarge from './kernels/memcpy-large.asm';
import memcpySmall from './kernels/memcpy-small.asm';
import memcpy64 from './kernels/memcpy64.asm';
import pageFaults from './kernels/page-faults.asm';
import pages from './kernels/pages.inc';
import pages2048 from './kernels/pages2048.asm';
import pages256 from './kernels/pages256.asm';
import ports from './kernels/ports.asm';
import qsort from './kernels/qsort.asm';
import sha256 from './kernels/sha256.asm';
import sieve from './kernels/sieve.asm';
import smc from './kernels/smc.asm';
import sse2Packed from './kernels/sse2-packed.asm';
import sse2Scalar from './kernels/sse2-scalar.asm';
import syscall from './kernels/syscall.asm';
import x87 from './kernels/x87.asm';

/** cpu: in the geometric mean of the targets; system: what operating systems do; long: 64-bit code, which not every peer runs. */
export type KernelGroup = 'cpu' | 'system' | 'long';

export interface Kernel {
  readonly name: string;
  readonly title: string;
  readonly group: KernelGroup;
  /** Rounds in a batch, so that a batch takes some tens of milliseconds. */
  readonly rounds: number;
  /** Batches before those that count, together; WARM_UP_MILLISECONDS unless given. Every machine needs long for a large program. */
  readonly warmUpMilliseconds?: number;
  /** What every round has to yield; kernels.test.ts computes it in another way. */
  readonly expected: number;
  readonly source: string;
}

export const MEMORY_MIB = 64;

export const kernels: readonly Kernel[] = [
  { name: 'alu', title: 'arithmetic and logic in registers', group: 'cpu', rounds: 30, expected: 0xad24c6df, source: alu },
  { name: 'sieve', title: 'sieve of Eratosthenes over 256 KiB', group: 'cpu', rounds: 40, expected: 23000, source: sieve },
  { name: 'crc32', title: 'CRC-32 by table', group: 'cpu', rounds: 100, expected: 0x0fcfb015, source: crc32 },
  { name: 'sha256', title: 'SHA-256', group: 'cpu', rounds: 100, expected: 0xcf1820ae, source: sha256 },
  { name: 'matmul', title: 'integer matrix product, 64 by 64', group: 'cpu', rounds: 40, expected: 0x9fbfbe98, source: matmul },
  { name: 'qsort', title: 'quicksort with a compare function', group: 'cpu', rounds: 15, expected: 0x817de3ae, source: qsort },
  { name: 'interpreter', title: 'bytecode interpreter', group: 'cpu', rounds: 40, expected: 0xb50dc47d, source: interpreter },
  { name: 'fib', title: 'recursive Fibonacci numbers', group: 'cpu', rounds: 20, expected: 17711, source: fib },
  { name: 'chain16', title: 'a chain of calls over 16 code pages', group: 'cpu', rounds: 40, expected: 0x49dc6ab5, source: chain16 },
  { name: 'pages256', title: '256 functions on 256 pages', group: 'cpu', rounds: 10, warmUpMilliseconds: 4000, expected: 0x18b539dc, source: pages256 },
  { name: 'pages2048', title: '2,048 functions on 2,048 pages', group: 'cpu', rounds: 10, warmUpMilliseconds: 12_000, expected: 0x737a3668, source: pages2048 },
  { name: 'memcpy-large', title: 'REP MOVSD of 1 MiB', group: 'cpu', rounds: 30, expected: 0x9d03a7c7, source: memcpyLarge },
  { name: 'memcpy-small', title: 'memcpy of 33 to 96 bytes', group: 'cpu', rounds: 3000, expected: 0x739e8970, source: memcpySmall },
  { name: 'sse2-scalar', title: 'scalar doubles', group: 'cpu', rounds: 300, expected: 0x029fc83f, source: sse2Scalar },
  { name: 'sse2-packed', title: 'packed singles and doublewords', group: 'cpu', rounds: 400, expected: 0x63fcbe42, source: sse2Packed },
  { name: 'x87', title: 'the Mandelbrot set in 80-bit registers', group: 'cpu', rounds: 15, expected: 9613, source: x87 },
  { name: 'syscall', title: 'INT 0x80 from ring 3', group: 'system', rounds: 15, expected: 50005000, source: syscall },
  { name: 'page-faults', title: 'page faults: map on demand, unmap', group: 'system', rounds: 60, expected: 0x1ff00200, source: pageFaults },
  { name: 'cr3', title: 'address space switches, 32 pages touched in each', group: 'system', rounds: 40, expected: 0x0009dd00, source: cr3 },
  { name: 'invlpg', title: 'page-table changes with INVLPG', group: 'system', rounds: 15, expected: 0xb2844a90, source: invlpg },
  { name: 'smc', title: 'self-modifying code', group: 'system', rounds: 15, expected: 0xc81b5b7c, source: smc },
  { name: 'beside-code', title: 'data on a page with code', group: 'system', rounds: 4, expected: 0x0056a8d3, source: besideCode },
  { name: 'ports', title: 'port reads', group: 'system', rounds: 40, expected: 1195000, source: ports },
  { name: 'alu64', title: 'arithmetic and logic in 64-bit registers', group: 'long', rounds: 30, expected: 0xed686c76, source: alu64 },
  { name: 'fib64', title: 'recursive Fibonacci numbers in 64-bit code', group: 'long', rounds: 20, expected: 17711, source: fib64 },
  { name: 'memcpy64', title: 'REP MOVSQ of 1 MiB', group: 'long', rounds: 10, expected: 0x9d03a7c7, source: memcpy64 },
];

const includes: Readonly<Record<string, string>> = { 'frame.inc': frame, 'long.inc': long, 'pages.inc': pages };

/** The Multiboot image. @throws Error with the assembler's messages */
export function kernelImage(kernel: Kernel): Uint8Array {
  const files: Readonly<Record<string, string>> = { ...includes, 'parameters.inc': `ROUNDS equ ${kernel.rounds}\nEXPECTED equ ${kernel.expected}\n` };
  const { ok, bytes, diagnostics } = assemble({ path: `${kernel.name}.asm`, text: kernel.source }, {
    format: 'bin', readFile: (path) => (Object.hasOwn(files, path) ? new TextEncoder().encode(files[path]) : undefined),
  });
  if (!ok) throw new Error(`bench: ${diagnostics.map(({ path, line, message }) => `${path}:${line}: ${message}`).join('\n')}`);
  return bytes;
}
