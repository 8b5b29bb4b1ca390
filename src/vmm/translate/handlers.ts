/**
 * Generates the threaded-code modules: one function per form of the instruction table, the handlers of continuations and links, and the
 * dispatcher. A module owns its function table; it is generated and compiled once per process. 64-bit code has a module of its own, so that
 * who never enters long mode never pays for it; the two share records, state and imports, and differ in how wide addresses are.
 */
import { callouts } from '../cpu/callouts';
import { counterAddress } from '../cpu/counters';
import {
  BUDGET, CODE_GRANULES, CODE_HIGH, CONTEXT, EIP, EXIT_REASON, EXIT_RECORD, JUMP_CACHE, JUMP_CACHE_SETS, LONG_JUMP_CACHE, LONG_TABLE_ENTRIES, RAM, READ_TABLE, SCRATCH, SEGMENTS, SEGMENT_FIELDS, SEGMENT_SIZE, TALLIES_MAX,
  WRITE_TABLE,
} from '../cpu/layout';
import type { InstructionTable } from '../isa/types';
import type { ExactCheck } from '../isa/vector';
import { ModuleWriter, type FunctionBody } from '../wasm/module';
import { enumerateForms, type Form, type FormIndex, type Load } from './forms';
import { Exit, RecordField, SpecialHandler } from './record';
import { declareExactFunctions } from './exact-functions';
import { ThreadedBuilder } from './threaded-builder';
import { defineX87Functions, x87FunctionNames, type X87Imports } from './x87-functions';

/** Function indices that handlers refer to. */
export interface HandlerImports {
  readonly handlerType: number;
  readonly dispatch: number;
  /** (record, linear, bytes) → value (8 bytes: in SCRATCH). In 64-bit code linear is two i32, low and high, and bits 8–9 of bytes an AccessSegment. */
  readonly readSlow: number;
  readonly readForWriteSlow: number;
  /** (record, linear, bytes, value). */
  readonly writeSlow: number;
  /** (record, offset, segment entry, bytes | 0x100 for writes) → 1 when it faulted. */
  readonly segmentCheck: number;
  callout(name: string): number;
  readonly x87: X87Imports;
  exact(check: ExactCheck): number;
}

/** What a handler was generated from: a form (others may share it, for which it would come out alike), or the loading record of a vector instruction. */
export interface HandlerForm {
  readonly form: Form;
  readonly load?: Load;
}

export interface ThreadedModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly forms: FormIndex;
  readonly handlerCount: number;
  /** Names of the imported callouts, in import order. */
  readonly callouts: readonly string[];
  /** By handler number. */
  readonly formOf: readonly HandlerForm[];
  /** The first of {@link REGION_SLOTS} places in the exported table `handlers` behind the handlers. */
  readonly firstRegionSlot: number;
  /** Behind these: the first of TALLIES_MAX places. */
  readonly firstTallySlot: number;
  /** What handlers call, and the names of these functions by number: whoever writes a handler once more, to look at it, needs both. */
  readonly imports: HandlerImports;
  readonly functionNames: ReadonlyMap<number, string>;
}

/** How many regions may be in force at a time: with what V8 makes of them some 160 KiB each. */
export const REGION_SLOTS = 1024;

const CS_BASE = SEGMENTS + SEGMENT_SIZE + SEGMENT_FIELDS.base;

/** `long`: the module of 64-bit code. */
export function generateThreadedModule(table: InstructionTable, memoryPages: number, long = false): ThreadedModule {
  const names = Object.keys(callouts);
  const module = new ModuleWriter();
  const handlerType = module.type(['i32'], []);
  const plain = module.type([], []);
  const found = module.type([], ['i32']);
  const linked = module.type(['i32'], ['i32']);
  const three = module.type(['i32', 'i32', 'i32'], ['i32']);
  const four = module.type(['i32', 'i32', 'i32', 'i32'], ['i32']);
  const reads = long ? four : three;
  const stored = module.type(['i32', 'i32', 'i32', 'i32', ...(long ? ['i32'] as const : [])], []);

  module.importMemory('machine', 'memory', memoryPages);
  const lookup = module.importFunction('translator', 'lookup', found);
  const resolve = module.importFunction('translator', 'resolve', linked);
  const readSlow = module.importFunction('memory', long ? 'longRead' : 'read', reads);
  const readForWriteSlow = module.importFunction('memory', long ? 'longReadForWrite' : 'readForWrite', reads);
  const writeSlow = module.importFunction('memory', long ? 'longWrite' : 'write', stored);
  const segmentCheck = module.importFunction('memory', 'segmentCheck', four);
  const fetch = long ? undefined : module.importFunction('memory', 'fetch', linked);
  const calloutIndex = new Map(names.map((name) => [name, module.importFunction('callout', name, four)]));

  const writeTracedSlow = module.declare(stored);
  const readGuardedSlow = module.declare(reads);
  const dispatch = module.declare(plain);
  const lookupSlow = module.declare(plain);
  const x87 = defineX87Functions(module);
  for (const name of x87FunctionNames) module.export(`x87.${name}`, x87[name]);
  const exact = declareExactFunctions(module);
  const imports: HandlerImports = {
    x87, exact: (check) => exact.index(check),
    handlerType, dispatch, readSlow, readForWriteSlow: readGuardedSlow, writeSlow: writeTracedSlow, segmentCheck,
    callout: (name) => calloutIndex.get(name) ?? fail(`callout ${name} was not imported`),
  };

  const functions: number[] = [];
  const define = (type: number, write: (body: FunctionBody) => void): number => {
    const index = module.declare(type);
    const body = module.body(type);
    write(body);
    module.define(index, body);
    return index;
  };
  const special = (write: (body: FunctionBody) => void) => functions.push(define(handlerType, write));

  const goTo = (body: FunctionBody, record: number) => {
    body.index('local.get', record).index('local.get', record).memory('i32.load', RecordField.handler).indirect('return_call_indirect', handlerType);
  };
  const setStateFromField = (body: FunctionBody, address: number, field: number) => {
    body.i32(0).index('local.get', 0).memory('i32.load', field).memory('i32.store', address);
  };
  /** EIP from a field; in 64-bit code the upper half is the code's. */
  const setEip = (body: FunctionBody, field: number) => {
    setStateFromField(body, EIP, field);
    if (long) body.i32(0).i32(0).memory('i32.load', CODE_HIGH).memory('i32.store', EIP + 4);
  };
  const count = (body: FunctionBody, id: Parameters<typeof counterAddress>[0]) => {
    body.i32(0).i32(0).memory('i64.load', counterAddress(id)).i64(1).op('i64.add').memory('i64.store', counterAddress(id));
  };
  const exit = (body: FunctionBody, reason: Exit) => {
    body.i32(0).index('local.get', 0).memory('i32.store', EXIT_RECORD);
    body.i32(0).i32(reason).memory('i32.store', EXIT_REASON).op('return');
  };
  /** BUDGET -= position; when spent, leave with EIP = the given field. */
  const charge = (body: FunctionBody, eipField: number, setHigh?: () => void) => {
    const budget = body.local('i32');
    body.i32(0).memory('i32.load', BUDGET).index('local.get', 0).memory('i32.load8_u', RecordField.position).op('i32.sub').index('local.set', budget);
    body.i32(0).index('local.get', budget).memory('i32.store', BUDGET);
    body.index('local.get', budget).i32(0).op('i32.lt_s').open('if');
    setEip(body, eipField);
    setHigh?.();
    exit(body, Exit.Budget);
    body.op('end');
  };
  /**
   * READ_TABLE entry of the page whose place in the table stands in `field` differs from the record's `expected`, or, in a hashed table, is
   * another page's than that of the `target` field.
   */
  const pageMoved = (body: FunctionBody, field: number) => {
    if (long) {
      const slot = body.local('i32');
      body.i32(0).memory('i32.load', READ_TABLE).index('local.get', 0).memory('i32.load', field).op('i32.add').index('local.tee', slot).memory('i32.load', 8);
      body.index('local.get', 0).memory('i32.load', RecordField.expected).op('i32.ne');
      body.index('local.get', slot).memory('i64.load', 0);
      body.i32(0).memory('i64.load32_u', CODE_HIGH).i64(32).op('i64.shl');
      body.index('local.get', 0).memory('i64.load32_u', RecordField.target).i64(-0x1000).op('i64.and').op('i64.or').op('i64.ne').op('i32.or');
      return;
    }
    body.i32(0).memory('i32.load', READ_TABLE).index('local.get', 0).memory('i32.load', field).op('i32.add').memory('i32.load', 0);
    body.index('local.get', 0).memory('i32.load', RecordField.expected).op('i32.ne');
  };

  special((body) => {
    charge(body, RecordField.target);
    const target = body.local('i32');
    body.index('local.get', 0).index('call', resolve).index('local.tee', target).op('i32.eqz').open('if').op('return').op('end');
    goTo(body, target);
  });
  special((body) => {
    charge(body, RecordField.target);
    count(body, 'chainedJumps');
    const target = body.local('i32');
    body.index('local.get', 0).memory('i32.load', RecordField.link).index('local.set', target);
    goTo(body, target);
  });
  special((body) => {
    charge(body, RecordField.target);
    pageMoved(body, RecordField.page);
    body.open('if');
    setEip(body, RecordField.target);
    body.index('return_call', dispatch).op('end');
    count(body, 'chainedJumps');
    const target = body.local('i32');
    body.index('local.get', 0).memory('i32.load', RecordField.link).index('local.set', target);
    goTo(body, target);
  });
  special((body) => {
    charge(body, RecordField.eip);
    setEip(body, RecordField.eip);
    body.index('return_call', lookupSlow);
  });
  special((body) => {
    pageMoved(body, RecordField.displacement);
    body.open('if');
    setEip(body, RecordField.eip);
    body.index('return_call', lookupSlow).op('end');
    const next = body.local('i32');
    body.index('local.get', 0).i32(32).op('i32.add').index('local.set', next);
    goTo(body, next);
  });
  special((body) => {
    // Position instructions of this unit were retired; the budget may go negative here, the runner does not mind.
    body.i32(0).i32(0).memory('i32.load', BUDGET).index('local.get', 0).memory('i32.load8_u', RecordField.position).op('i32.sub').memory('i32.store', BUDGET);
    setEip(body, RecordField.eip);
    exit(body, Exit.Breakpoint);
  });
  special((body) => {
    const setHigh = () => setStateFromField(body, EIP + 4, RecordField.expected);
    charge(body, RecordField.target, setHigh);
    setEip(body, RecordField.target);
    setHigh();
    body.index('return_call', dispatch);
  });
  if (functions.length !== SpecialHandler.Count - 1) fail('special handlers do not match their numbers');

  const formOf: HandlerForm[] = [];
  const forms = enumerateForms(table, long, (form) => {
    const index = module.declare(handlerType);
    const body = module.body(handlerType);
    const builder = new ThreadedBuilder(form, body, imports);
    builder.build();
    module.define(index, body);
    functions.push(index);
    formOf[functions.length] = { form };
    return { handler: functions.length, dependencies: builder.dependencies };
  }, (load, form) => {
    const index = module.declare(handlerType);
    const body = module.body(handlerType);
    new ThreadedBuilder(form, body, imports).buildLoad(load);
    module.define(index, body);
    functions.push(index);
    formOf[functions.length] = { form, load };
    return functions.length;
  });

  exact.write(imports, formOf[SpecialHandler.Count].form);

  // The dispatcher: EIP → jump cache → record, else the translator.
  const dispatcher = module.body(plain);
  const secondPlace = (slot: number, bytes: number) => dispatcher.index('local.get', slot).i32(bytes).op('i32.add').index('local.set', slot);
  if (long) {
    const rip = dispatcher.local('i64');
    const slot = dispatcher.local('i32');
    const low = dispatcher.local('i32');
    const entry = dispatcher.local('i32');
    const record = dispatcher.local('i32');
    dispatcher.i32(0).i32(0).memory('i64.load', EIP).index('local.tee', rip).i64(32).op('i64.shr_u').op('i32.wrap_i64').memory('i32.store', CODE_HIGH);
    dispatcher.index('local.get', rip).op('i32.wrap_i64').index('local.tee', low);
    dispatcher.index('local.get', low).i32(12).op('i32.shr_u').op('i32.xor').i32(JUMP_CACHE_SETS - 1).op('i32.and').i32(6).op('i32.shl').index('local.set', slot);
    dispatcher.i32(0).memory('i32.load', READ_TABLE).index('local.get', low).i32(8).op('i32.shr_u').i32((LONG_TABLE_ENTRIES - 1) << 4).op('i32.and');
    dispatcher.op('i32.add').index('local.set', entry);
    for (let place = 0; place < 2; place++) {
      if (place) secondPlace(slot, 32);
      dispatcher.index('local.get', slot).memory('i64.load', LONG_JUMP_CACHE).index('local.get', rip).op('i64.eq');
      dispatcher.index('local.get', slot).memory('i32.load', LONG_JUMP_CACHE + 8).i32(0).memory('i32.load', CONTEXT).op('i32.eq').op('i32.and');
      dispatcher.index('local.get', slot).memory('i32.load', LONG_JUMP_CACHE + 16).index('local.get', entry).memory('i32.load', 8).op('i32.eq').op('i32.and');
      dispatcher.index('local.get', entry).memory('i64.load', 0).index('local.get', rip).i64(-0x1000).op('i64.and').op('i64.eq').op('i32.and').open('if');
      count(dispatcher, 'indirectHits');
      dispatcher.index('local.get', slot).memory('i32.load', LONG_JUMP_CACHE + 12).index('local.set', record);
      goTo(dispatcher, record);
      dispatcher.op('end');
    }
    dispatcher.index('return_call', lookupSlow);
  } else {
    const linear = dispatcher.local('i32');
    const slot = dispatcher.local('i32');
    const record = dispatcher.local('i32');
    dispatcher.i32(0).memory('i32.load', EIP).i32(0).memory('i32.load', CS_BASE).op('i32.add').index('local.tee', linear);
    dispatcher.index('local.get', linear).i32(12).op('i32.shr_u').op('i32.xor').i32(JUMP_CACHE_SETS - 1).op('i32.and').i32(5).op('i32.shl').index('local.set', slot);
    for (let place = 0; place < 2; place++) {
      if (place) secondPlace(slot, 16);
      dispatcher.index('local.get', slot).memory('i32.load', JUMP_CACHE).index('local.get', linear).op('i32.eq');
      dispatcher.index('local.get', slot).memory('i32.load', JUMP_CACHE + 4).i32(0).memory('i32.load', CONTEXT).op('i32.eq').op('i32.and');
      dispatcher.index('local.get', slot).memory('i32.load', JUMP_CACHE + 12);
      dispatcher.i32(0).memory('i32.load', READ_TABLE).index('local.get', linear).i32(12).op('i32.shr_u').i32(2).op('i32.shl').op('i32.add').memory('i32.load', 0);
      dispatcher.op('i32.eq').op('i32.and').open('if');
      count(dispatcher, 'indirectHits');
      dispatcher.index('local.get', slot).memory('i32.load', JUMP_CACHE + 8).index('local.set', record);
      goTo(dispatcher, record);
      dispatcher.op('end');
    }
    dispatcher.index('return_call', lookupSlow);
  }
  module.define(dispatch, dispatcher);

  module.define(writeTracedSlow, guardedWrite(module.body(stored), writeSlow, long));
  module.define(readGuardedSlow, guardedRead(module.body(reads), readForWriteSlow, long));

  const slow = module.body(plain);
  {
    const record = slow.local('i32');
    if (fetch !== undefined) {
      // Only the page's lookup entry may be missing.
      slow.i32(0).memory('i32.load', EIP).i32(0).memory('i32.load', CS_BASE).op('i32.add').index('call', fetch).open('if').index('return_call', dispatch).op('end');
    }
    slow.index('call', lookup).index('local.tee', record).op('i32.eqz').open('if').op('return').op('end');
    goTo(slow, record);
  }
  module.define(lookupSlow, slow);

  const run = define(plain, (body) => {
    body.open('loop').index('call', dispatch);
    body.i32(0).memory('i32.load', EXIT_REASON).i32(Exit.Delivered).op('i32.eq').open('if');
    body.i32(0).i32(Exit.None).memory('i32.store', EXIT_REASON).index('br', 1).op('end').op('end');
  });
  module.export('run', run);
  // What regions leave through: their modules do not import the table, of which some engines make a copy for each instance.
  module.export('dispatch', dispatch);
  module.export('go', define(handlerType, (body) => goTo(body, 0)));
  const through = module.type(['i32', 'i32'], []);
  module.export('goThrough', define(through, (body) => body.index('local.get', 0).index('local.get', 1).indirect('return_call_indirect', handlerType)));
  const firstRegionSlot = functions.length + 1;
  const firstTallySlot = firstRegionSlot + REGION_SLOTS;
  module.table('handlers', firstTallySlot + TALLIES_MAX, 1, functions);
  const functionNames = new Map<number, string>([...calloutIndex].map(([name, index]) => [index, `callout.${name}`]));
  for (const [name, index] of Object.entries({ dispatch, lookup, resolve, readSlow, readForWriteSlow: readGuardedSlow, writeSlow: writeTracedSlow, segmentCheck })) functionNames.set(index, name);
  for (const name of x87FunctionNames) functionNames.set(x87[name], `x87.${name}`);
  return { bytes: module.finish(), forms, handlerCount: functions.length, callouts: names, formOf, firstRegionSlot, firstTallySlot, imports, functionNames };
}

/** Parameters of the memory slow paths: the record, the linear address (in 64-bit code two of them), the access, the value to write. */
const LINEAR = 1;
const parameters = (long: boolean) => (long ? { access: 3, value: 4, all: [0, 1, 2, 3] } : { access: 2, value: 3, all: [0, 1, 2] });

/**
 * Opens a block that is left when the write table's entry is not a guarded one, or the access crosses the page; inside, `host` is the
 * host address. See mmu/lookup.ts for guarded entries.
 */
function openGuarded(body: FunctionBody, host: number, bytes: number, long: boolean): void {
  const entry = body.local('i32');
  body.index('local.get', parameters(long).access).i32(0xff).op('i32.and').index('local.set', bytes);
  body.open('block');
  if (long) {
    const slot = body.local('i32');
    body.i32(0).memory('i32.load', WRITE_TABLE).index('local.get', LINEAR).i32(8).op('i32.shr_u').i32((LONG_TABLE_ENTRIES - 1) << 4).op('i32.and').op('i32.add');
    body.index('local.tee', slot).memory('i64.load', 0);
    body.index('local.get', LINEAR).op('i64.extend_i32_u').i64(-0x1000).op('i64.and').index('local.get', LINEAR + 1).op('i64.extend_i32_u').i64(32).op('i64.shl').op('i64.or').op('i64.ne');
    body.index('local.get', slot).memory('i32.load', 8).index('local.tee', entry);
    body.i32(0xfff).op('i32.and').i32(0xfff).op('i32.ne').op('i32.or');
    body.index('local.get', LINEAR).i32(0xfff).op('i32.and').i32(0x1000).index('local.get', bytes).op('i32.sub').op('i32.gt_u').op('i32.or');
    body.index('br_if', 0);
    body.index('local.get', entry).i32(-0x1000).op('i32.and').index('local.get', LINEAR).op('i32.xor').index('local.set', host);
    return;
  }
  body.i32(0).memory('i32.load', WRITE_TABLE).index('local.get', LINEAR).i32(12).op('i32.shr_u').i32(2).op('i32.shl').op('i32.add').memory('i32.load', 0);
  body.index('local.tee', entry).i32(12).op('i32.shr_u').i32(0xfffff).op('i32.eq');
  body.index('local.get', entry).i32(0xfff).op('i32.and').i32(0xfff).op('i32.ne').op('i32.or');
  body.index('local.get', LINEAR).i32(0xfff).op('i32.and').i32(0x1000).index('local.get', bytes).op('i32.sub').op('i32.gt_u').op('i32.or');
  body.index('br_if', 0);
  body.index('local.get', entry).i32(-0x1000).op('i32.and').index('local.get', LINEAR).op('i32.xor').index('local.set', host);
}

/** Stores into a page with translated code: done here when the 64 bytes around hold none, else by the monitor. */
function guardedWrite(body: FunctionBody, monitor: number, long: boolean): FunctionBody {
  const host = body.local('i32');
  const bytes = body.local('i32');
  const granule = body.local('i32');
  const { value, all } = parameters(long);
  openGuarded(body, host, bytes, long);
  body.index('local.get', LINEAR).i32(0xfff).op('i32.and').i32(6).op('i32.shr_u').index('local.set', granule);
  // The bits of the first and, if the access reaches into it, the next granule.
  body.index('local.get', host).i32(RAM).op('i32.sub').i32(12).op('i32.shr_u').i32(3).op('i32.shl').memory('i64.load', CODE_GRANULES);
  body.index('local.get', granule).op('i64.extend_i32_u').op('i64.shr_u').op('i32.wrap_i64');
  body.i32(3).i32(1);
  body.index('local.get', LINEAR).i32(63).op('i32.and').index('local.get', bytes).op('i32.add').i32(64).op('i32.gt_u').op('select');
  body.op('i32.and').index('br_if', 0);
  const stores = [[1, 'i32.store8'], [2, 'i32.store16'], [4, 'i32.store']] as const;
  for (const [size, store] of stores) {
    body.index('local.get', bytes).i32(size).op('i32.eq').open('if');
    body.index('local.get', host).index('local.get', value).memory(store, 0).op('return').op('end');
  }
  body.index('local.get', bytes).i32(8).op('i32.eq').open('if');
  body.index('local.get', host).i32(0).memory('i64.load', SCRATCH).memory('i64.store', 0).op('return').op('end');
  body.index('local.get', host).i32(0).memory('v128.load', SCRATCH).memory('v128.store', 0).op('return').op('end');
  for (const parameter of [...all, value]) body.index('local.get', parameter);
  return body.index('call', monitor);
}

/** Loads that a store follows, from a page with translated code: a guarded entry says that the store cannot fault. */
function guardedRead(body: FunctionBody, monitor: number, long: boolean): FunctionBody {
  const host = body.local('i32');
  const bytes = body.local('i32');
  openGuarded(body, host, bytes, long);
  const loads = [[1, 'i32.load8_u'], [2, 'i32.load16_u'], [4, 'i32.load']] as const;
  for (const [size, load] of loads) {
    body.index('local.get', bytes).i32(size).op('i32.eq').open('if');
    body.index('local.get', host).memory(load, 0).op('return').op('end');
  }
  body.i32(0).index('local.get', host).memory('i64.load', 0).memory('i64.store', SCRATCH).i32(0).op('return').op('end');
  for (const parameter of parameters(long).all) body.index('local.get', parameter);
  return body.index('call', monitor);
}

function fail(why: string): never {
  throw new Error(`threaded code: ${why}`);
}
