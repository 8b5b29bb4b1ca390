/** Debug sessions for tests: the adapter behind a socket as any client sees it, files from memory, the machine in the built worker. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { DebugClient } from '@vscode/debugadapter-testsupport';
import type { AdapterServices } from '../../src/adapter/services';
import { RingsideDebugSession } from '../../src/adapter/session';
import type { ClientChannel } from '../../src/protocol/channel';
import type { CustomEventName, CustomEvents } from '../../src/protocol/dap';
import { nasmAssembler } from '../../src/adapter/node-nasm';
import { launchNodeWorker } from '../../src/worker/launch-node';

/** dist/worker.js, seen from dist/test/adapter/. */
const workerFile = path.join(__dirname, '..', '..', 'worker.js');

export const mainPath = '/project/main.asm';

/** The usual beginning of a boot sector: six lines, the seventh is the first of the program. */
export const bootProlog = ['bits 16', 'org 0x7c00', 'cli', 'xor ax, ax', 'mov ds, ax', 'mov ss, ax'].join('\n') + '\nmov sp, 0x7c00\n';
export const bootEpilog = '\ntimes 510-($-$$) db 0\ndw 0xaa55\n';
/** Ends the machine with status 2 * AL + 1. */
export const exit = (status: number): string => `mov al, ${(status - 1) / 2}\nout 0xf4, al\n`;

/** The line (from 1) of the only line of a source that contains a text. */
export function lineOf(source: string, text: string): number {
  const lines = source.split('\n').flatMap((line, n) => (line.includes(text) ? [n + 1] : []));
  assert.equal(lines.length, 1, `"${text}" stands in ${lines.length} lines`);
  return lines[0]!;
}

export class TestSession {
  readonly events: DebugProtocol.Event[] = [];
  private readonly waiting: { accept(event: DebugProtocol.Event): boolean; resolve(event: DebugProtocol.Event): void }[] = [];
  /** Events before this place were waited for. */
  private consumed = 0;
  workerExited: Promise<void> = Promise.resolve();

  private constructor(readonly dap: DebugClient, private readonly server: net.Server) {
    // Every event, whatever its name, goes through here.
    const emit = dap.emit.bind(dap);
    dap.emit = (name: string, ...rest: unknown[]) => {
      if (rest[0] && (rest[0] as DebugProtocol.Event).type === 'event') this.arrived(rest[0] as DebugProtocol.Event);
      return emit(name, ...rest);
    };
  }

  /** Files that the session has written. */
  readonly written: Record<string, Uint8Array> = {};

  /** The files are read when they are needed: a test may edit them meanwhile. */
  static async open(files: Readonly<Record<string, string | Uint8Array>>): Promise<TestSession> {
    const services: AdapterServices = {
      files: {
        readFile: (name) => {
          const contents = (session.written[name] as Uint8Array | undefined) ?? files[name];
          if (contents === undefined) return name.startsWith('/project/') ? Promise.reject(new Error('no such file')) : fs.promises.readFile(name);
          return Promise.resolve(typeof contents === 'string' ? new TextEncoder().encode(contents) : contents);
        },
        replaceFile: (name, bytes) => {
          if (name.includes('/locked/')) return Promise.reject(new Error('no permission'));
          session.written[name] = bytes;
          return Promise.resolve();
        },
      },
      nasm: nasmAssembler,
      launchMachine: (): ClientChannel => {
        const channel = launchNodeWorker(workerFile);
        return { ...channel, onClose: (listener) => {
          session.workerExited = new Promise((resolve) => channel.onClose((reason) => {
            listener(reason);
            resolve();
          }));
        } };
      },
    };
    const server = net.createServer((socket) => {
      const adapter = new RingsideDebugSession(services);
      adapter.setRunAsServer(true);
      adapter.start(socket, socket);
      socket.on('close', () => adapter.dispose());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const dap = new DebugClient('', '', 'ringside');
    const session = new TestSession(dap, server);
    await dap.start((server.address() as net.AddressInfo).port);
    return session;
  }

  async close(): Promise<void> {
    await this.dap.stop();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** Initializes and launches; the guest has not begun to run. */
  async launch(args: Record<string, unknown> = {}): Promise<void> {
    await this.dap.initializeRequest({
      adapterID: 'ringside', pathFormat: 'path', linesStartAt1: true, columnsStartAt1: true, supportsInvalidatedEvent: true, supportsMemoryEvent: true,
    } as DebugProtocol.InitializeRequestArguments);
    await this.dap.launchRequest({ program: mainPath, pace: 'max', ...args } as DebugProtocol.LaunchRequestArguments);
    await this.event('initialized');
  }

  run(): Promise<unknown> {
    return this.dap.configurationDoneRequest();
  }

  private arrived(event: DebugProtocol.Event): void {
    this.events.push(event);
    const index = this.waiting.findIndex(({ accept }) => accept(event));
    if (index < 0) return;
    this.consumed = this.events.length;
    this.waiting.splice(index, 1)[0]!.resolve(event);
  }

  /** The next event of a name that nobody has waited for yet. */
  event(name: string, accept: (body: never) => boolean = () => true, seconds = 10): Promise<DebugProtocol.Event> {
    const matches = (event: DebugProtocol.Event): boolean => event.event === name && accept(event.body as never);
    const index = this.events.findIndex((event, n) => n >= this.consumed && matches(event));
    if (index >= 0) {
      this.consumed = index + 1;
      return Promise.resolve(this.events[index]!);
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no event "${name}"; there were ${this.events.map((event) => event.event).join(', ')}`)), 1000 * seconds);
      this.waiting.push({ accept: matches, resolve: (event) => {
        clearTimeout(timer);
        resolve(event);
      } });
    });
  }

  /** Waits until something that events change is true. */
  async until(what: string, condition: () => boolean, seconds = 10): Promise<void> {
    for (const end = Date.now() + 1000 * seconds; !condition();) {
      assert.ok(Date.now() < end, `${what}: not after ${seconds} s`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async custom<N extends CustomEventName>(name: N, accept?: (body: CustomEvents[N]) => boolean): Promise<CustomEvents[N]> {
    return (await this.event(name, accept as (body: never) => boolean)).body as CustomEvents[N];
  }

  /** Waits until the guest stops, and tells why and where. */
  async stopped(): Promise<{ reason: string; line: number; name: string; body: DebugProtocol.StoppedEvent['body'] }> {
    const { body } = await this.event('stopped') as DebugProtocol.StoppedEvent;
    const frame = await this.top();
    return { reason: body.reason, line: frame.line, name: frame.name, body };
  }

  async top(): Promise<DebugProtocol.StackFrame> {
    return (await this.stack())[0]!;
  }

  async stack(): Promise<DebugProtocol.StackFrame[]> {
    return (await this.dap.stackTraceRequest({ threadId: 1 })).body.stackFrames;
  }

  async breakpoints(...breakpoints: DebugProtocol.SourceBreakpoint[]): Promise<DebugProtocol.Breakpoint[]> {
    return (await this.dap.setBreakpointsRequest({ source: { path: mainPath }, breakpoints })).body.breakpoints;
  }

  async step(kind: 'next' | 'stepIn' | 'stepOut', granularity?: 'instruction'): Promise<{ reason: string; line: number; name: string }> {
    await this.dap.send(kind, { threadId: 1, ...(granularity && { granularity }) });
    return this.stopped();
  }

  async proceed(): Promise<{ reason: string; line: number; name: string; body: DebugProtocol.StoppedEvent['body'] }> {
    await this.dap.continueRequest({ threadId: 1 });
    return this.stopped();
  }

  async evaluate(expression: string, context = 'watch'): Promise<string> {
    return (await this.dap.evaluateRequest({ expression, context })).body.result;
  }

  /** Children of a scope or variable along a path of names. */
  async variables(...names: string[]): Promise<DebugProtocol.Variable[]> {
    return (await this.dap.variablesRequest({ variablesReference: await this.reference(...names) })).body.variables;
  }

  async reference(...names: string[]): Promise<number> {
    const [scopeName, ...rest] = names;
    const { scopes } = (await this.dap.scopesRequest({ frameId: 0 })).body;
    let reference = scopes.find(({ name }) => name === scopeName)!.variablesReference;
    for (const wanted of rest) {
      const { variables } = (await this.dap.variablesRequest({ variablesReference: reference })).body;
      const found = variables.find(({ name }) => name === wanted);
      assert.ok(found, `there is no "${wanted}" among ${variables.map(({ name }) => name).join(', ')}`);
      reference = found.variablesReference;
    }
    return reference;
  }

  async readMemory(args: DebugProtocol.ReadMemoryArguments): Promise<NonNullable<DebugProtocol.ReadMemoryResponse['body']>> {
    return (await this.dap.send('readMemory', args)).body as NonNullable<DebugProtocol.ReadMemoryResponse['body']>;
  }

  /** All output of a category so far. */
  output(category: string): string {
    return this.events.filter((event) => event.event === 'output' && (event.body as DebugProtocol.OutputEvent['body']).category === category)
      .map((event) => (event.body as DebugProtocol.OutputEvent['body']).output).join('');
  }
}

/** Runs a test in a session that is always closed. */
export function withSession(files: Readonly<Record<string, string | Uint8Array>> | string, test: (session: TestSession) => Promise<void>): () => Promise<void> {
  return async () => {
    const session = await TestSession.open(typeof files === 'string' ? { [mainPath]: files } : files);
    try {
      await test(session);
    } finally {
      await session.close();
    }
  };
}
