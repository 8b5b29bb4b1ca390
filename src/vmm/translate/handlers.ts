/**
 * Generates the threaded-code module: one function per form of the instruction table, the handlers of continuations and links, and the
 * dispatcher. The module owns the function table; it is generated and compiled once per process.
 */
import { callouts } from '../cpu/callouts';
import { counterAddress } from '../cpu/counters';
import {
  BUDGET, CODE_GRANULES, CONTEXT, EIP, EXIT_REASON, EXIT_RECORD, JUMP_CACHE, JUMP_CACHE_ENTRIES, RAM, READ_TABLE, SCRATCH, SEGMENTS, SEGMENT_FIELDS, SEGMENT_SIZE,
  WRITE_TABLE,
} from '../cpu/layout';
import type { InstructionTable } from '../isa/types';
import { ModuleWriter, type FunctionBody } from '../wasm/module';
import { enumerateForms, type Form, type FormIndex, type Load } from './forms';
import { Exit, RecordField, SpecialHandler } from './record';
import { ThreadedBuilder } from './threaded-builder';

/** Function indices that handlers refer to. */
export interface HandlerImports {
  readonly handlerType: number;
  readonly dispatch: number;
  /** (record, linear, bytes) → value (8 bytes: in SCRATCH). */
  readonly readSlow: number;
  readonly readForWriteSlow: number;
  /** (record, linear, bytes, value). */
  readonly writeSlow: number;
  /** (record, offset, segment entry, bytes | 0x100 for writes) → 1 when it faulted. */
  readonly segmentCheck: number;
  callout(name: string): number;
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
}

/** How many regions may be in force at a time. */
export const REGION_SLOTS = 4096;

const CS_BASE = SEGMENTS + SEGMENT_SIZE + SEGMENT_FIELDS.base;

export function generateThreadedModule(table: InstructionTable, memoryPages: number): ThreadedModule {
  const names = Object.keys(callouts);
  const module = new ModuleWriter();
  const handlerType = module.type(['i32'], []);
  const plain = module.type([], []);
  const found = module.type([], ['i32']);
  const linked = module.type(['i32'], ['i32']);
  const three = module.type(['i32', 'i32', 'i32'], ['i32']);
  const four = module.type(['i32', 'i32', 'i32', 'i32'], ['i32']);
  const stored = module.type(['i32', 'i32', 'i32', 'i32'], []);

  module.importMemory('machine', 'memory', memoryPages);
  const lookup = module.importFunction('translator', 'lookup', found);
  const resolve = module.importFunction('translator', 'resolve', linked);
  const readSlow = module.importFunction('memory', 'read', three);
  const readForWriteSlow = module.importFunction('memory', 'readForWrite', three);
  const writeSlow = module.importFunction('memory', 'write', stored);
  const segmentCheck = module.importFunction('memory', 'segmentCheck', four);
  const calloutIndex = new Map(names.map((name) => [name, module.importFunction('callout', name, four)]));

  const writeTracedSlow = module.declare(stored);
  const readGuardedSlow = module.declare(three);
  const dispatch = module.declare(plain);
  const lookupSlow = module.declare(plain);
  const imports: HandlerImports = {
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
  const count = (body: FunctionBody, id: Parameters<typeof counterAddress>[0]) => {
    body.i32(0).i32(0).memory('i64.load', counterAddress(id)).i64(1).op('i64.add').memory('i64.store', counterAddress(id));
  };
  const exit = (body: FunctionBody, reason: Exit) => {
    body.i32(0).index('local.get', 0).memory('i32.store', EXIT_RECORD);
    body.i32(0).i32(reason).memory('i32.store', EXIT_REASON).op('return');
  };
  /** BUDGET -= position; when spent, leave with EIP = the given field. */
  const charge = (body: FunctionBody, eipField: number) => {
    const budget = body.local('i32');
    body.i32(0).memory('i32.load', BUDGET).index('local.get', 0).memory('i32.load8_u', RecordField.position).op('i32.sub').index('local.set', budget);
    body.i32(0).index('local.get', budget).memory('i32.store', BUDGET);
    body.index('local.get', budget).i32(0).op('i32.lt_s').open('if');
    setStateFromField(body, EIP, eipField);
    exit(body, Exit.Budget);
    body.op('end');
  };
  /** READ_TABLE entry of the page whose table offset (page number × 4) stands in `field` differs from the record's `expected`. */
  const pageMoved = (body: FunctionBody, field: number) => {
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
    setStateFromField(body, EIP, RecordField.target);
    body.index('return_call', dispatch).op('end');
    count(body, 'chainedJumps');
    const target = body.local('i32');
    body.index('local.get', 0).memory('i32.load', RecordField.link).index('local.set', target);
    goTo(body, target);
  });
  special((body) => {
    charge(body, RecordField.eip);
    setStateFromField(body, EIP, RecordField.eip);
    body.index('return_call', lookupSlow);
  });
  special((body) => {
    pageMoved(body, RecordField.displacement);
    body.open('if');
    setStateFromField(body, EIP, RecordField.eip);
    body.index('return_call', lookupSlow).op('end');
    const next = body.local('i32');
    body.index('local.get', 0).i32(32).op('i32.add').index('local.set', next);
    goTo(body, next);
  });
  special((body) => {
    // Position instructions of this unit were retired; the budget may go negative here, the runner does not mind.
    body.i32(0).i32(0).memory('i32.load', BUDGET).index('local.get', 0).memory('i32.load8_u', RecordField.position).op('i32.sub').memory('i32.store', BUDGET);
    setStateFromField(body, EIP, RecordField.eip);
    exit(body, Exit.Breakpoint);
  });
  if (functions.length !== SpecialHandler.Count - 1) fail('special handlers do not match their numbers');

  const formOf: HandlerForm[] = [];
  const forms = enumerateForms(table, (form) => {
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

  // The dispatcher: EIP → jump cache → record, else the translator.
  const dispatcher = module.body(plain);
  {
    const linear = dispatcher.local('i32');
    const slot = dispatcher.local('i32');
    const record = dispatcher.local('i32');
    dispatcher.i32(0).memory('i32.load', EIP).i32(0).memory('i32.load', CS_BASE).op('i32.add').index('local.tee', linear);
    dispatcher.index('local.get', linear).i32(12).op('i32.shr_u').op('i32.xor').i32(JUMP_CACHE_ENTRIES - 1).op('i32.and').i32(4).op('i32.shl').index('local.set', slot);
    dispatcher.index('local.get', slot).memory('i32.load', JUMP_CACHE).index('local.get', linear).op('i32.eq');
    dispatcher.index('local.get', slot).memory('i32.load', JUMP_CACHE + 4).i32(0).memory('i32.load', CONTEXT).op('i32.eq').op('i32.and');
    dispatcher.index('local.get', slot).memory('i32.load', JUMP_CACHE + 12);
    dispatcher.i32(0).memory('i32.load', READ_TABLE).index('local.get', linear).i32(12).op('i32.shr_u').i32(2).op('i32.shl').op('i32.add').memory('i32.load', 0);
    dispatcher.op('i32.eq').op('i32.and').open('if');
    count(dispatcher, 'indirectHits');
    dispatcher.index('local.get', slot).memory('i32.load', JUMP_CACHE + 8).index('local.set', record);
    goTo(dispatcher, record);
    dispatcher.op('end').index('return_call', lookupSlow);
  }
  module.define(dispatch, dispatcher);

  module.define(writeTracedSlow, guardedWrite(module.body(stored), writeSlow));
  module.define(readGuardedSlow, guardedRead(module.body(three), readForWriteSlow));

  const slow = module.body(plain);
  {
    const record = slow.local('i32');
    slow.index('call', lookup).index('local.tee', record).op('i32.eqz').open('if').op('return').op('end');
    goTo(slow, record);
  }
  module.define(lookupSlow, slow);

  const run = define(plain, (body) => body.index('call', dispatch));
  module.export('run', run);
  // What regions leave through: their modules do not import the table, of which some engines make a copy for each instance.
  module.export('dispatch', dispatch);
  module.export('go', define(handlerType, (body) => goTo(body, 0)));
  const through = module.type(['i32', 'i32'], []);
  module.export('goThrough', define(through, (body) => body.index('local.get', 0).index('local.get', 1).indirect('return_call_indirect', handlerType)));
  module.table('handlers', functions.length + 1 + REGION_SLOTS, 1, functions);
  return { bytes: module.finish(), forms, handlerCount: functions.length, callouts: names, formOf, firstRegionSlot: functions.length + 1 };
}

/** Parameters of the memory slow paths. */
const LINEAR = 1, BYTES = 2, VALUE = 3;

/**
 * Opens a block that is left when the write table's entry is not a guarded one, or the access crosses the page; inside, `host` is the
 * host address. See mmu/lookup.ts for guarded entries.
 */
function openGuarded(body: FunctionBody, host: number): void {
  const entry = body.local('i32');
  body.open('block');
  body.i32(0).memory('i32.load', WRITE_TABLE).index('local.get', LINEAR).i32(12).op('i32.shr_u').i32(2).op('i32.shl').op('i32.add').memory('i32.load', 0);
  body.index('local.tee', entry).i32(12).op('i32.shr_u').i32(0xfffff).op('i32.eq');
  body.index('local.get', entry).i32(0xfff).op('i32.and').i32(0xfff).op('i32.ne').op('i32.or');
  body.index('local.get', LINEAR).i32(0xfff).op('i32.and').i32(0x1000).index('local.get', BYTES).op('i32.sub').op('i32.gt_u').op('i32.or');
  body.index('br_if', 0);
  body.index('local.get', entry).i32(-0x1000).op('i32.and').index('local.get', LINEAR).op('i32.xor').index('local.set', host);
}

/** Stores into a page with translated code: done here when the 64 bytes around hold none, else by the monitor. */
function guardedWrite(body: FunctionBody, monitor: number): FunctionBody {
  const host = body.local('i32');
  const granule = body.local('i32');
  openGuarded(body, host);
  body.index('local.get', LINEAR).i32(0xfff).op('i32.and').i32(6).op('i32.shr_u').index('local.set', granule);
  // The bits of the first and, if the access reaches into it, the next granule.
  body.index('local.get', host).i32(RAM).op('i32.sub').i32(12).op('i32.shr_u').i32(3).op('i32.shl').memory('i64.load', CODE_GRANULES);
  body.index('local.get', granule).op('i64.extend_i32_u').op('i64.shr_u').op('i32.wrap_i64');
  body.i32(3).i32(1);
  body.index('local.get', LINEAR).i32(63).op('i32.and').index('local.get', BYTES).op('i32.add').i32(64).op('i32.gt_u').op('select');
  body.op('i32.and').index('br_if', 0);
  const stores = [[1, 'i32.store8'], [2, 'i32.store16'], [4, 'i32.store']] as const;
  for (const [bytes, store] of stores) {
    body.index('local.get', BYTES).i32(bytes).op('i32.eq').open('if');
    body.index('local.get', host).index('local.get', VALUE).memory(store, 0).op('return').op('end');
  }
  body.index('local.get', BYTES).i32(8).op('i32.eq').open('if');
  body.index('local.get', host).i32(0).memory('i64.load', SCRATCH).memory('i64.store', 0).op('return').op('end');
  body.index('local.get', host).i32(0).memory('v128.load', SCRATCH).memory('v128.store', 0).op('return').op('end');
  return body.index('local.get', 0).index('local.get', LINEAR).index('local.get', BYTES).index('local.get', VALUE).index('call', monitor);
}

/** Loads that a store follows, from a page with translated code: a guarded entry says that the store cannot fault. */
function guardedRead(body: FunctionBody, monitor: number): FunctionBody {
  const host = body.local('i32');
  openGuarded(body, host);
  const loads = [[1, 'i32.load8_u'], [2, 'i32.load16_u'], [4, 'i32.load']] as const;
  for (const [bytes, load] of loads) {
    body.index('local.get', BYTES).i32(bytes).op('i32.eq').open('if');
    body.index('local.get', host).memory(load, 0).op('return').op('end');
  }
  body.i32(0).index('local.get', host).memory('i64.load', 0).memory('i64.store', SCRATCH).i32(0).op('return').op('end');
  return body.index('local.get', 0).index('local.get', LINEAR).index('local.get', BYTES).index('call', monitor);
}

function fail(why: string): never {
  throw new Error(`threaded code: ${why}`);
}
