/**
 * The shadow against a model that walks the guest's tables on every access and knows no lookup tables: random edits of page tables
 * (32-bit, PAE and 4-level; through linear addresses, recursive mappings and devices) and random accesses must give the same values, faults, memory, A and D bits
 * and code-write reports.
 */
import assert from 'node:assert/strict';
import { RAM } from '../cpu/layout';
import { INTERCEPT_CODE } from './physical-memory';
import { CR0_PG, CR0_WP, CR4_PAE, CR4_PSE, CR4_SMAP, CR4_SMEP, createGuest, EFER_LMA, EFER_NXE, sharedMemory, type Guest } from './test-support';
import { PageFault, type Privilege } from './types';

const RAM_BYTES = 0x200000;
const ROM_FIRST = 0x8000, ROM_LAST = 0x8fff;

/** Deterministic random numbers (a linear congruential generator, upper bits). */
function generator(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 0x100000000) * below);
  };
}

class Model {
  readonly ram = new Uint8Array(RAM_BYTES);
  private readonly view = new DataView(this.ram.buffer);
  a20 = true;
  cr3 = 0;
  paging = false;
  wp = false;
  pse = false;
  cpl = 0;
  pae = false;
  nx = false;
  /** 4-level paging, of 64-bit or compatibility code. */
  long = false;
  code64 = true;
  smep = false;
  smap = false;
  ac = false;
  /** The PDPTE registers, low and high words in turn. */
  pdptes = new Array<number>(8).fill(0);
  /** Traced code granules by number (gpa >>> 6), and whether one was written. */
  readonly code = new Set<number>();
  codeWritten = false;

  private bus(gpa: number): number {
    return this.a20 ? gpa : gpa - (gpa & 0x100000);
  }

  private entry(gpa: number): number {
    const at = this.bus(gpa);
    return at < RAM_BYTES ? this.view.getUint32(at, true) : 0xffffffff;
  }

  writeByte(gpa: number, value: number): void {
    const at = this.bus(gpa);
    if (at < RAM_BYTES && !(at >= ROM_FIRST && at <= ROM_LAST)) {
      this.ram[at] = value;
      this.codeWritten ||= this.code.has(at >>> 6);
    }
  }

  readByte(gpa: number): number {
    const at = this.bus(gpa);
    return at < RAM_BYTES ? this.ram[at] : 0xff;
  }

  private orEntry(gpa: number, bits: number): void {
    const at = this.bus(gpa);
    const old = this.entry(gpa);
    if (at < RAM_BYTES && (old & bits) !== bits) {
      for (let i = 0; i < 4; i++) {
        this.writeByte(gpa + i, ((old | bits) >>> (8 * i)) & 0xff);
      }
    }
  }

  private translatePae(linear: number, write: boolean, user: Privilege, fetch: boolean): number {
    const code = (write ? 2 : 0) | (user === true ? 4 : 0) | (fetch && this.nx ? 16 : 0);
    let [low, high] = [this.pdptes[(linear >>> 30) * 2], this.pdptes[(linear >>> 30) * 2 + 1]];
    if (!(low & 1)) {
      throw new PageFault(linear, code);
    }
    const used: number[] = [];
    let all = 6, never = 0, size = 4096;
    for (const shift of [21, 12]) {
      const at = (high & 15) * 0x100000000 + ((low & ~0xfff) >>> 0) + ((linear >>> shift) & 511) * 8;
      used.push(at);
      [low, high] = [this.entry(at), this.entry(at + 4)];
      if (!(low & 1)) {
        throw new PageFault(linear, code);
      }
      const big = shift === 21 && (low & 0x80) !== 0;
      if (high & 0x7ffffff0 || (high >>> 31 && !this.nx) || (big && low & 0x1fe000)) {
        throw new PageFault(linear, code | 9);
      }
      all &= low;
      never |= high >>> 31;
      if (big) {
        size = 0x200000;
        break;
      }
    }
    if ((user === true && !(all & 4)) || (write && !(all & 2) && (user === true || this.wp)) || (fetch && this.nx && never)) {
      throw new PageFault(linear, code | 1);
    }
    used.forEach((at, i) => this.orEntry(at, write && i === used.length - 1 ? 0x60 : 0x20));
    const base = (high & 15) * 0x100000000 + ((low & ~0xfff) >>> 0);
    return base - (base % size) + (linear % size);
  }

  private translateLong(linear: number, write: boolean, user: Privilege, fetch: boolean): number {
    const code = (write ? 2 : 0) | (user === true ? 4 : 0) | (fetch && (this.nx || this.smep) ? 16 : 0);
    const wide = BigInt(linear);
    let table = BigInt(this.cr3) & ~0xfffn, all = 7n, never = false;
    const used: number[] = [];
    for (const shift of [39n, 30n, 21n, 12n]) {
      const at = Number(table + ((wide >> shift) & 511n) * 8n);
      const entry = BigInt(this.entry(at)) | BigInt(this.entry(at + 4)) << 32n;
      used.push(at);
      if (!(entry & 1n)) {
        throw new PageFault(linear, code);
      }
      const big = (shift === 30n || shift === 21n) && (entry & 0x80n) !== 0n;
      const reserved = 0xffff000000000n | (this.nx ? 0n : 1n << 63n) | (shift === 39n ? 0x80n : 0n) | (big ? ((1n << shift) - 1n) & ~0x1fffn : 0n);
      if (entry & reserved) {
        throw new PageFault(linear, code | 9);
      }
      all &= entry;
      never ||= entry >> 63n === 1n;
      if (!big && shift !== 12n) {
        table = entry & 0xffffffffff000n;
        continue;
      }
      const userPage = (all & 4n) !== 0n;
      const allowed = (user === true ? userPage : fetch ? !(userPage && this.smep) : !(userPage && this.smap && !this.acFrees(user))) && !(fetch && never)
        && !(write && !(all & 2n) && (user === true || this.wp));
      if (!allowed) {
        throw new PageFault(linear, code | 1);
      }
      used.forEach((a, i) => this.orEntry(a, write && i === used.length - 1 ? 0x60 : 0x20));
      return Number((entry & 0xffffffffff000n & ~((1n << shift) - 1n)) | (wide & ((1n << shift) - 1n)));
    }
    throw new Error('a page table maps pages');
  }

  private acFrees(user: Privilege): boolean {
    return this.ac && this.cpl < 3 && user !== 'system';
  }

  translate(linear: number, write: boolean, user: Privilege = this.cpl === 3, fetch = false): number {
    if (!this.paging) {
      return linear;
    }
    if (this.long) {
      return this.translateLong(linear, write, user, fetch);
    }
    if (this.pae) {
      return this.translatePae(linear, write, user, fetch);
    }
    const code = (write ? 2 : 0) | (user === true ? 4 : 0);
    const pdeAt = (this.cr3 & ~0xfff) + (linear >>> 22) * 4;
    const pde = this.entry(pdeAt >>> 0);
    if (!(pde & 1)) {
      throw new PageFault(linear, code);
    }
    let mapping = pdeAt >>> 0, all = pde, gpa: number;
    if (this.pse && pde & 0x80) {
      if (pde & 0x3fe000) {
        throw new PageFault(linear, code | 9);
      }
      gpa = (pde & 0xffc00000) + (linear & 0x3fffff);
    } else {
      mapping = ((pde & ~0xfff) >>> 0) + ((linear >>> 12) & 1023) * 4;
      const pte = this.entry(mapping);
      if (!(pte & 1)) {
        throw new PageFault(linear, code);
      }
      all = pde & pte;
      gpa = (pte & ~0xfff) + (linear & 0xfff);
      gpa >>>= 0;
    }
    if (user === true ? !(all & 4) || (write && !(all & 2)) : write && this.wp && !(all & 2)) {
      throw new PageFault(linear, code | 1);
    }
    if (mapping !== pdeAt >>> 0) {
      this.orEntry(pdeAt >>> 0, 0x20);
    }
    this.orEntry(mapping, write ? 0x60 : 0x20);
    return gpa >>> 0;
  }

  /** Guest-physical addresses of the bytes of an access. */
  private addresses(linear: number, size: number, write: boolean, user: Privilege = this.cpl === 3): number[] {
    const first = this.translate(linear, write, user);
    const left = 4096 - (linear & 0xfff);
    const second = left < size ? this.translate((linear + left) % (this.long && this.code64 && this.paging ? 2 ** 48 : 2 ** 32), write, user) : 0;
    return Array.from({ length: size }, (_, i) => (i < left ? first + i : second + i - left));
  }

  load(linear: number, size: number, user: Privilege = this.cpl === 3): number {
    return this.addresses(linear, size, false, user).reduce((value, gpa, i) => value + this.readByte(gpa) * 256 ** i, 0);
  }

  store(linear: number, value: number, size: number, user: Privilege = this.cpl === 3): void {
    this.addresses(linear, size, true, user).forEach((gpa, i) => this.writeByte(gpa, (value >>> (8 * i)) & 0xff));
  }
}

function outcome(action: () => number | void): string {
  try {
    return `value ${action()}`;
  } catch (error) {
    if (error instanceof PageFault) {
      return `#PF ${error.linear.toString(16)} ${error.errorCode}`;
    }
    throw error;
  }
}

type Paging = '32-bit' | 'PAE' | '4-level';

function run(seed: number, steps: number, paging: Paging): { guest: Guest; codeEntries: number } {
  const random = generator(seed);
  const long = paging === '4-level', pae = paging !== '32-bit';
  const pick = <T>(values: readonly T[]): T => values[random(values.length)];
  const guest = createGuest({ ramBytes: RAM_BYTES, physicalAddressBits: pae ? 36 : 32, rom: [{ first: ROM_FIRST, last: ROM_LAST }] });
  const model = new Model();
  let codeWritten = false;
  let codeEntries = 0;
  guest.mmu.onCodeWrite = () => {
    codeWritten = true;
  };
  // Few frames serve as directories, tables, code and data at once, on both sides of the A20 line.
  const frames = [0, 1, 2, 3, 4, 5, 6, 7, 8, 0x100, 0x101, 0x102, 0x108, 0x1ff, 0x300, 0xfffff];
  const slots = pae ? [0, 1, 2, 0x1ff] : [0, 1, 2, 0x3ff];
  const pages = pae ? [0, 1, 2, 3, 4, 0x1ff] : [0, 1, 2, 3, 4, 0x3ff];
  const entryBytes = pae ? 8 : 4;
  // A walk of four levels looks at twice as many entries: each has to be sound more often.
  const rare = long ? 10 : 4;
  const lowWord = (): number => {
    const flags = random(long ? 40 : 8) === 0 ? random(0x1000) : 1 | (random(rare) === 0 ? 0 : 2) | (random(rare) === 0 ? 0 : 4) | (random(long ? 20 : 5) === 0 ? 0x80 : 0) | random(4) * 0x20;
    const frame = (flags & 0x80) !== 0 && random(3) !== 0 ? random(2) * (pae ? 0x200 : 0x400) : pick(frames);
    return (frame * 4096 | flags) >>> 0;
  };
  /** The upper half of a PAE entry: mostly nothing, execute-disable, an address above 4 GiB, a reserved bit. */
  const highWord = (): number => [0, 0, 0, 0, long && random(4) !== 0 ? 0 : 0x80000000, long ? 0 : 0x80000000, long ? random(2) : 1, random(8) === 0 ? 0x10 : 0][random(8)];
  /** A value that suits address `at` as (half of) an entry. */
  const randomEntry = (at: number): number => (pae && (at & 4) !== 0 && random(16) !== 0 ? highWord() : lowWord());
  const offsetOfEntry = (): number => pick(random(2) === 0 ? slots : pages) * entryBytes + (pae ? random(2) * 4 : 0);
  const top = (): number => (long && model.paging && model.code64 ? pick([0, 0, 0, 1, 2, 0x1ff]) * 2 ** 39 + pick([0, 0, 0, 1, 2, 0x1ff]) * 2 ** 30 : 0);
  const randomLinear = (): number => top() + ((long && model.code64 ? pick([0, 0, 1]) << 30 | pick(slots) << 21 : pae ? pick([0, 0, 1, 3]) << 30 | pick(slots) << 21 : pick(slots) << 22) | (pick(pages) << 12)
    | (random(4) === 0 ? 0xff8 + random(8) : random(3) === 0 ? random(4096) : offsetOfEntry())) >>> 0;
  const activate = (): void => guest.mmu.activate({
    cr0: model.paging ? CR0_PG | (model.wp ? CR0_WP : 0) : 1, cr3: model.cr3, cr4: (model.pse ? CR4_PSE : 0) | (model.pae ? CR4_PAE : 0) | (model.smep ? CR4_SMEP : 0) | (model.smap ? CR4_SMAP : 0),
    efer: (model.nx ? EFER_NXE : 0) | (model.long ? EFER_LMA : 0), cpl: model.cpl, code64: model.code64, alignmentFlag: model.ac, pdptes: model.pdptes,
  });
  for (const frame of frames) {
    for (const index of [...slots, ...pages]) {
      for (let at = index * entryBytes; at < (index + 1) * entryBytes; at += 4) {
        const entry = new Uint8Array(new Uint32Array([randomEntry(at)]).buffer);
        if ((frame + 1) * 4096 <= RAM_BYTES) {
          model.ram.set(entry, frame * 4096 + at);
          guest.mmu.physical.patch(frame * 4096 + at, entry);
        }
      }
    }
  }
  frames.slice(0, 4).forEach((frame, n) => {
    model.pdptes[2 * n] = frame * 4096 | 1;
  });
  activate();
  for (let step = 0; step < steps; step++) {
    const what = `seed ${seed}, step ${step}`;
    const choice = random(100);
    if (choice < 6) {
      // What the processor does by itself: with the supervisor's rights, whoever is executing.
      const linear = randomLinear(), size = pick([1, 2, 4] as const), value = randomEntry(linear), as = pick([false, 'system'] as const);
      const where = `${what}: implicit access of ${size} at ${linear.toString(16)}`;
      if (random(2) === 0) {
        assert.equal(outcome(() => guest.mmu.read(linear, size, as) >>> 0), outcome(() => model.load(linear, size, as)), where);
      } else {
        assert.equal(outcome(() => guest.mmu.write(linear, size, value, as)), outcome(() => model.store(linear, value, size, as)), where);
      }
    } else if (choice < 35) {
      const linear = randomLinear(), size = pick([1, 2, 4] as const);
      assert.equal(outcome(() => guest.load(linear, size)), outcome(() => model.load(linear, size)), `${what}: load ${size} at ${linear.toString(16)}`);
      if (guest.readHits(linear)) {
        // The translator takes a valid entry of a frame with code for leave to execute.
        const page = Math.floor(model.translate(linear, false) / 4096);
        if ((guest.mmu.physical.intercepts[guest.mmu.physical.frameOf(page)] & INTERCEPT_CODE) !== 0) {
          codeEntries++;
          assert.doesNotThrow(() => model.translate(linear, false, undefined, true), `${what}: entry of code at ${linear.toString(16)}`);
        }
      }
    } else if (choice < 75) {
      const linear = randomLinear(), size = pick([1, 2, 4, 4, 4] as const);
      const value = randomEntry(linear);
      assert.equal(outcome(() => guest.store(linear, value, size)), outcome(() => model.store(linear, value, size)), `${what}: store ${size} at ${linear.toString(16)}`);
    } else if (choice < 85) {
      const gpa = pick(frames) * 4096 + offsetOfEntry(), value = randomEntry(gpa);
      guest.mmu.physical.write32(gpa, value);
      [0, 1, 2, 3].forEach((i) => model.writeByte(gpa + i, (value >>> (8 * i)) & 0xff));
    } else if (choice < 93) {
      model.paging = random(10) !== 0;
      model.wp = random(2) === 0;
      model.pae = pae && (long || random(5) !== 0);
      model.nx = random(3) !== 0;
      model.long = long;
      if (long) {
        model.code64 = random(4) !== 0;
        model.smep = random(3) === 0;
        model.smap = random(3) === 0;
        model.ac = random(2) === 0;
      }
      model.pse = !pae && random(3) === 0;
      model.cpl = random(3) === 0 ? 3 : 0;
      model.cr3 = random(2) === 0 ? model.cr3 : pick(frames) * 4096 + (model.pae && !long ? random(2) * 0x20 : 0);
      for (let n = random(8); n < 4; n++) {
        model.pdptes[2 * n] = (pick(frames) * 4096 | (random(10) === 0 ? 0 : 1)) >>> 0;
        model.pdptes[2 * n + 1] = random(20) === 0 ? 1 : 0;
      }
      activate();
    } else if (choice < 95) {
      const gpa = pick(frames.slice(0, 14)) * 4096 + pick(pages) * 4, last = gpa + random(200);
      if (model.a20 && last < RAM_BYTES) {
        guest.mmu.traceCode(gpa, last);
        for (let granule = gpa >>> 6; granule <= last >>> 6; granule++) {
          model.code.add(granule);
        }
      }
    } else if (choice < 97) {
      const page = pick(frames.slice(0, 14));
      if (model.a20) {
        guest.mmu.untraceCodePage(page);
        for (let granule = page * 64; granule < page * 64 + 64; granule++) {
          model.code.delete(granule);
        }
      }
    } else if (choice < 98) {
      model.a20 = random(3) !== 0;
      guest.mmu.setA20(model.a20);
    } else {
      const linear = randomLinear();
      const fetched = outcome(() => guest.mmu.fetchPage(linear).gpaPage);
      const expected = outcome(() => {
        const page = Math.floor(model.translate(linear, false, undefined, true) / 4096);
        return model.a20 ? page : page & ~0x100;
      });
      assert.equal(fetched, expected, `${what}: fetch at ${linear.toString(16)}`);
    }
    assert.equal(codeWritten, model.codeWritten, `${what}: code writes reported`);
    codeWritten = model.codeWritten = false;
    if (step % 500 === 499 || step === steps - 1) {
      assert.equal(Buffer.compare(new Uint8Array(sharedMemory.buffer, RAM, RAM_BYTES), model.ram), 0, `${what}: memory`);
    }
  }
  return { guest, codeEntries };
}

describe('shadow paging against a model that always walks', () => {
  for (const paging of ['32-bit', 'PAE', '4-level'] as const) {
    it(`gives the same values, faults, memory and code-write reports with ${paging} paging`, () => {
      let hidden = 0, faults = 0, traces = 0, code = 0;
      for (let seed = 1; seed <= 24; seed++) {
        const { guest, codeEntries } = run(seed, 4000, paging);
        code += codeEntries;
        hidden += guest.counter('hiddenPageFaults');
        faults += guest.counter('truePageFaults');
        traces += guest.counter('traceFaults');
      }
      // The run would prove nothing if one of these hardly happened.
      assert.ok(hidden > 5000 && faults > 5000 && traces > 3000 && code > 500, `${hidden} hidden, ${faults} true, ${traces} trace faults, ${code} entries of code`);
    });
  }
});
