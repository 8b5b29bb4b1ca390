/** The requests and events beyond the protocol (see protocol/dap.ts): views look at the machine through them. */
import type { MachineClient } from '../protocol/client';
import { fromBase64, postMortemToJson, registersToJson, screenToJson, toBase64 } from '../protocol/dap';
import type { CustomEventName, CustomEvents, CustomRequestName, CustomRequests, MachineDescription } from '../protocol/dap';
import { AdapterError } from './adapter-error';
import type { Debuggee } from './debuggee';
import { bytesText, instructionToJson } from './disassembly';
import { pageTablesText } from './page-tables';
import { hotCodeOf, translationOf } from './translation';

type CustomHandlers = { [N in CustomRequestName]: (args: CustomRequests[N][0]) => Promise<CustomRequests[N][1]> };

/** More lines than this have no inlay hints: a view shows a screenful. */
const maximumLines = 20_000;
const maximumLineBytes = 16;

/** What a session does for requests that concern files. */
export interface SessionFiles {
  disks(): Promise<CustomRequests['ringside/disks'][1]>;
  saveDisk(args: CustomRequests['ringside/saveDisk'][0]): Promise<void>;
}

export function customRequests(debuggee: () => Debuggee, describe: () => Promise<MachineDescription>, files: SessionFiles): CustomHandlers {
  const done = {};
  return {
    'ringside/machine': describe,
    'ringside/registers': async () => registersToJson(await debuggee().registers()),
    'ringside/counters': () => debuggee().client.request('counters'),
    'ringside/screen': async () => screenToJson(await debuggee().client.request('screen')),
    'ringside/devices': async () => ({ devices: await debuggee().client.request('devices') }),
    'ringside/serialInput': async ({ port, data }) => {
      await debuggee().client.request('serialInput', { port, bytes: fromBase64(data) });
      return done;
    },
    'ringside/keyboard': async ({ scancodes }) => {
      await debuggee().client.request('keyboard', { scancodes });
      return done;
    },
    'ringside/mouse': async (movement) => {
      await debuggee().client.request('mouse', movement);
      return done;
    },
    'ringside/subscribe': async ({ countersHz, screenHz }) => {
      await debuggee().client.request('subscribe', { countersHz, screenHz });
      return done;
    },
    'ringside/postMortem': async () => {
      const postMortem = await debuggee().client.request('postMortem');
      return postMortem ? { postMortem: postMortemToJson(postMortem) } : {};
    },
    'ringside/hiddenPageFaults': async ({ most }) => {
      const target = debuggee();
      const sites = await target.client.request('hiddenPageFaults', { most });
      return {
        sites: sites.map(({ linear, count }) => {
          const location = target.sourceMap.locate(linear);
          return { linear, count, symbol: target.nameOf(linear), ...(location && { path: location.path, line: location.line }) };
        }),
      };
    },
    'ringside/disassemble': async (args) => {
      const target = debuggee();
      const place = 'linear' in args ? { instructionOffset: 0, end: Infinity, ...args } : lineOf(target, args);
      if (place.count === 0) return { instructions: [] };
      const { linear: from, instructionOffset, count, end } = place;
      const found = await target.client.request('disassemble', { linear: from, instructionOffset, count });
      return { instructions: found.filter(({ linear }) => linear < end).map((one) => instructionToJson(target, one)) };
    },
    'ringside/lines': async ({ path }) => {
      const target = debuggee();
      const rows = target.sourceMap.linesOf(path).slice(0, maximumLines);
      const first = rows.reduce((lowest, row) => Math.min(lowest, row.linear), Infinity);
      const last = rows.reduce((highest, row) => Math.max(highest, row.linear + row.length), 0);
      // One read for a source that lies together, as nearly all do.
      const together = last - first <= 0x10_0000 ? await target.read(first, last - first) : undefined;
      return {
        lines: await Promise.all(rows.map(async ({ line, linear, length }) => {
          const count = Math.min(length, maximumLineBytes);
          const bytes = together?.subarray(linear - first, linear - first + count) ?? await target.read(linear, count);
          return { line, linear, bytes: bytesText(bytes) + (length > count ? ' …' : '') };
        })),
      };
    },
    'ringside/disks': () => files.disks(),
    'ringside/saveDisk': async (args) => {
      await files.saveDisk(args);
      return done;
    },
    'ringside/pageTables': async ({ expression }) => ({ text: await pageTablesText(debuggee(), expression) }),
    'ringside/translation': (args) => translationOf(debuggee(), args),
    'ringside/stopCounting': async () => {
      await debuggee().client.request('stopCounting');
      return done;
    },
    'ringside/hotCode': ({ most }) => hotCodeOf(debuggee(), most),
    'ringside/symbol': (args) => {
      const { sourceMap } = debuggee();
      if ('name' in args) {
        const linear = sourceMap.symbol(args.name);
        return Promise.resolve({ name: args.name, ...(linear !== undefined && { linear }) });
      }
      return Promise.resolve({ linear: args.linear, ...sourceMap.symbolAt(args.linear) });
    },
  };
}

/** The code of a source line: where it begins, where it ends, and how many instructions that can be at most. */
function lineOf(debuggee: Debuggee, { path, line }: { path: string; line: number }): { linear: number; count: number; end: number; instructionOffset: number } {
  if (!debuggee.sourceMap.hasSource(path)) throw new AdapterError(`The program has no code from ${path}`);
  const row = debuggee.sourceMap.linesOf(path).find((one) => one.line === line);
  return { linear: row?.linear ?? 0, instructionOffset: 0, count: Math.min(row?.length ?? 0, 100), end: row ? row.linear + row.length : 0 };
}

/** Sends the machine's events to clients that have no other way to it. */
export function forwardEvents(client: MachineClient, send: <N extends CustomEventName>(name: N, body: CustomEvents[N]) => void): void {
  client.on('running', () => send('ringside/running', {}));
  client.on('stopped', ({ reason, registers }) => send('ringside/stopped', { reason, registers: registersToJson(registers) }));
  client.on('ended', ({ reason, exitStatus, registers, counters }) => send('ringside/ended', {
    reason: reason.kind === 'tripleFault' ? { kind: 'tripleFault', postMortem: postMortemToJson(reason.postMortem) } : reason,
    exitStatus, registers: registersToJson(registers), counters,
  }));
  client.on('serial', ({ port, bytes }) => send('ringside/serial', { port, data: toBase64(bytes) }));
  client.on('counters', (sample) => send('ringside/counters', { ...sample, registers: registersToJson(sample.registers) }));
  client.on('screen', (screen) => send('ringside/screen', screenToJson(screen)));
}
