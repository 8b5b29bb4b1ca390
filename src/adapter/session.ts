/**
 * The debug session: a table of requests that delegate to the managers beside this file, and the machine's events as the protocol's.
 * Runs inline in VS Code (Node or browser) and over any stream; files and workers come from {@link AdapterServices}.
 */
import {
  BreakpointEvent, ContinuedEvent, DebugSession, Event, ExitedEvent, InitializedEvent, InvalidatedEvent, MemoryEvent, OutputEvent, ProgressEndEvent, ProgressStartEvent,
  StoppedEvent, TerminatedEvent,
} from '@vscode/debugadapter';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { MachineClient } from '../protocol/client';
import type { CustomEventName, CustomEvents, MachineDescription } from '../protocol/dap';
import { endReasonText } from '../protocol/exit-status';
import type { StopReason } from '../protocol/messages';
import { AdapterError, messageOf } from './adapter-error';
import { Breakpoints } from './breakpoints';
import { capabilities } from './capabilities';
import { completions, execute } from './console';
import { customRequests, forwardEvents } from './custom';
import { Debuggee } from './debuggee';
import type { Halt } from './debuggee';
import { disassemble } from './disassembly';
import { checkWriteBack, disksOf, saveDisk, writeBack } from './disks';
import { assign, evaluate } from './evaluate';
import { exceptionInfo, exceptionText, postMortemLines, tripleFaultFilter, tripleFaultInfo, vectorsOf } from './exceptions';
import { parseLaunchConfig } from './launch-config';
import type { LaunchConfig } from './launch-config';
import { parseReference, readMemory, writeMemory } from './memory';
import { ConsoleOutput } from './output';
import { AssemblyError, diagnosticText, loadProgram } from './program';
import type { Program } from './program';
import type { AdapterServices } from './services';
import { makeSource } from './sources';
import { processorOfFrame, StackWalker } from './stack';
import { Stepper } from './stepping';
import type { Granularity } from './stepping';
import { scopes, setVariable, variables } from './variables';

/** Processor 0's. */
const firstThread = 1;
const bootSectorAddress = 0x7c00;
/** The BIOS's ROM, and its image behind the reset vector. */
const biosStart = 0xe0000, biosEnd = 0x100000, resetVectorStart = 0xfffe0000;

type Handler = (args: never) => Promise<object | undefined | void>;

export class RingsideDebugSession extends DebugSession {
  private client: MachineClient | undefined;
  private debuggee: Debuggee | undefined;
  private stepper: Stepper | undefined;
  private config: LaunchConfig | undefined;
  private initializeArguments: Partial<DebugProtocol.InitializeRequestArguments> = {};
  private readonly breakpoints = new Breakpoints(() => this.debuggee);
  private exceptionFilters: readonly string[] = [tripleFaultFilter];
  private lastStop: StopReason | undefined;
  private endHandled = false;
  private writeBackFailed = false;
  private writing: Promise<void> | undefined;
  private readonly afterResponse: (() => void)[] = [];
  private readonly guestOutput = new ConsoleOutput((text) => this.sendEvent(new OutputEvent(text, 'stdout')));
  private readonly serialOutput = new ConsoleOutput((text) => this.sendEvent(new OutputEvent(text, 'stdout')));

  constructor(private readonly services: AdapterServices) {
    super(true);
  }

  /** The machine, for views in the same process. */
  get machine(): MachineClient | undefined {
    return this.client;
  }

  private readonly handlers: Readonly<Record<string, Handler>> = {
    launch: (args: DebugProtocol.LaunchRequestArguments) => this.launch(args),
    attach: () => Promise.reject(new AdapterError('There is nothing to attach to: the machine lives in the session', 'Use a launch configuration.')),
    configurationDone: () => {
      this.begin();
      return Promise.resolve();
    },
    disconnect: async () => {
      // The last chance; what failed before has been told.
      if (!this.writeBackFailed) await this.writeBack().catch((error: unknown) => this.sendEvent(new OutputEvent(`${messageOf(error)}\n`, 'stderr')));
      this.dispose();
    },
    terminate: () => this.terminate(),
    restart: (args: DebugProtocol.RestartArguments) => this.restart(args),

    setBreakpoints: async (args: DebugProtocol.SetBreakpointsArguments) => ({ breakpoints: await this.breakpoints.setSource(args) }),
    setFunctionBreakpoints: async (args: DebugProtocol.SetFunctionBreakpointsArguments) => ({ breakpoints: await this.breakpoints.setFunctions(args) }),
    setInstructionBreakpoints: async (args: DebugProtocol.SetInstructionBreakpointsArguments) => ({ breakpoints: await this.breakpoints.setInstructions(args) }),
    breakpointLocations: (args: DebugProtocol.BreakpointLocationsArguments) => Promise.resolve({ breakpoints: this.breakpoints.locations(args) }),
    setExceptionBreakpoints: (args: DebugProtocol.SetExceptionBreakpointsArguments) => this.setExceptionBreakpoints(args),
    exceptionInfo: () => this.exceptionInfo(),

    threads: () => this.threads(),
    stackTrace: async (args: DebugProtocol.StackTraceArguments) => {
      const debuggee = this.halted();
      await debuggee.select(args.threadId - 1);
      await debuggee.findKernelSymbols();
      return new StackWalker(debuggee).frames(args);
    },
    scopes: async (args: DebugProtocol.ScopesArguments) => {
      if (this.debuggee && this.debuggee.state !== 'running') await this.debuggee.select(processorOfFrame(args.frameId));
      return { scopes: scopes() };
    },
    variables: async (args: DebugProtocol.VariablesArguments) => ({ variables: await variables(this.present(), args) }),
    setVariable: async (args: DebugProtocol.SetVariableArguments) => this.changed(await setVariable(this.present(), args)),
    evaluate: (args: DebugProtocol.EvaluateArguments) => this.evaluate(args),
    setExpression: async (args: DebugProtocol.SetExpressionArguments) => this.changed(await assign(this.present(), args.expression, args.value)),
    completions: (args: DebugProtocol.CompletionsArguments) => Promise.resolve({ targets: completions(this.debuggee, args) }),

    continue: () => {
      this.resume((debuggee) => {
        // Views continue by requests of their own, of whose answers the debugger's windows know nothing.
        this.sendEvent(new ContinuedEvent(firstThread, true));
        return debuggee.run('continue', {});
      });
      return Promise.resolve({ allThreadsContinued: true });
    },
    pause: () => this.pause(),
    next: (args: DebugProtocol.NextArguments) => this.step('over', args),
    stepIn: (args: DebugProtocol.StepInArguments) => this.step('in', args),
    stepOut: async (args: DebugProtocol.StepOutArguments) => {
      await this.halted().select(args.threadId - 1);
      this.resume(() => this.stepping().stepOut());
    },

    readMemory: (args: DebugProtocol.ReadMemoryArguments) => readMemory(this.present(), args),
    writeMemory: async (args: DebugProtocol.WriteMemoryArguments) => {
      const body = await writeMemory(this.present(), args);
      return this.changed(body, { reference: args.memoryReference, offset: args.offset ?? 0, count: body?.bytesWritten ?? 0 });
    },
    disassemble: (args: DebugProtocol.DisassembleArguments) => disassemble(this.present(), args),
    loadedSources: () => Promise.resolve({ sources: (this.debuggee?.sourceMap.sources ?? []).map(makeSource) }),
    source: () => Promise.reject(new AdapterError('The source is a file; open it by its path')),

    ...customRequests(() => this.present(), () => this.describe(), {
      disks: async () => ({ disks: await disksOf(this.present().client, this.config!) }),
      saveDisk: ({ drive, path }) => saveDisk(this.present().client, drive, path, this.services.files),
    }),
  };

  protected override dispatchRequest(request: DebugProtocol.Request): void {
    if (request.command === 'initialize') {
      // The base class notes there how the client counts lines; then it calls initializeRequest.
      super.dispatchRequest(request);
      return;
    }
    const handler = Object.hasOwn(this.handlers, request.command) ? this.handlers[request.command] : undefined;
    const response: DebugProtocol.Response = { seq: 0, type: 'response', request_seq: request.seq, command: request.command, success: true };
    if (!handler) {
      this.refuse(response, new AdapterError(`Ringside does not know the request "${request.command}"`));
      return;
    }
    void this.serve(handler, request, response);
  }

  private async serve(handler: Handler, request: DebugProtocol.Request, response: DebugProtocol.Response): Promise<void> {
    try {
      const body = await handler((request.arguments ?? {}) as never);
      if (body) response.body = body;
      this.sendResponse(response);
    } catch (error) {
      this.refuse(response, error);
    }
    for (const action of this.afterResponse.splice(0)) action();
  }

  private refuse(response: DebugProtocol.Response, error: unknown): void {
    // Watches and hovers fail all the time; only what the person asked for is worth a dialog.
    const showUser = ['launch', 'attach', 'restart', 'setVariable', 'setExpression', 'writeMemory', 'stepOut', 'terminate', 'ringside/saveDisk'].includes(response.command);
    // Braces in the text are no placeholders.
    this.sendErrorResponse(response, { id: 1, format: '{_text}', variables: { _text: messageOf(error) }, showUser });
  }

  protected override initializeRequest(response: DebugProtocol.InitializeResponse, args: DebugProtocol.InitializeRequestArguments): void {
    this.initializeArguments = args;
    response.body = capabilities();
    this.sendResponse(response);
  }

  override dispose(): void {
    this.guestOutput.flush();
    this.serialOutput.flush();
    this.client?.dispose();
    this.client = undefined;
    this.debuggee = undefined;
    this.stepper = undefined;
  }

  // ---- start and end

  private async launch(args: DebugProtocol.LaunchRequestArguments): Promise<void> {
    if (this.client) throw new AdapterError('This session has a machine already', 'Restart it, or start another session.');
    const config = parseLaunchConfig(args as unknown as Record<string, unknown>);
    const program = await this.load(config);
    const client = new MachineClient(this.services.launchMachine());
    this.client = client;
    this.config = config;
    try {
      const created = await client.request('create', program.configuration);
      await checkWriteBack(client, config, this.services.files);
      this.adopt(client, new Debuggee(client, program.sourceMap, created.counters, created.registers));
    } catch (error) {
      this.dispose();
      throw error;
    }
    this.services.onMachine?.(client, await this.describe());
    // Breakpoints can be answered now that the program is known.
    this.afterResponse.push(() => this.sendEvent(new InitializedEvent()));
  }

  /** Reads and assembles; the assembler's messages become output and an event for the Problems panel. */
  private async load(config: LaunchConfig): Promise<Program> {
    const progressId = `load-${Date.now()}`;
    const progress = this.initializeArguments.supportsProgressReporting === true;
    if (progress) this.sendEvent(new ProgressStartEvent(progressId, `Loading ${config.program}`));
    try {
      const program = await loadProgram(config, this.services);
      this.report(program);
      return program;
    } catch (error) {
      if (error instanceof AssemblyError) this.report(error);
      throw error;
    } finally {
      if (progress) this.sendEvent(new ProgressEndEvent(progressId));
    }
  }

  private report({ diagnostics }: Pick<Program, 'diagnostics'>): void {
    for (const diagnostic of diagnostics) {
      const event = new OutputEvent(`${diagnosticText(diagnostic)}\n`, diagnostic.severity === 'error' ? 'stderr' : 'console');
      this.sendEvent(Object.assign(event, { body: { ...event.body, source: makeSource(diagnostic.path), line: diagnostic.line, column: diagnostic.column } }));
    }
    this.custom('ringside/diagnostics', { diagnostics });
  }

  private adopt(client: MachineClient, debuggee: Debuggee): void {
    this.debuggee = debuggee;
    this.stepper = new Stepper(debuggee);
    debuggee.onHalt = (halt) => this.reportHalt(halt);
    debuggee.onRunning = () => this.sendEvent(new ContinuedEvent(firstThread, true));
    client.on('debugPort', ({ bytes }) => this.guestOutput.write(bytes));
    client.on('serial', ({ bytes }) => {
      if (this.config?.serial !== 'terminal') this.serialOutput.write(bytes);
    });
    client.on('log', ({ text }) => this.sendEvent(new OutputEvent(`${text}\n`, 'console')));
    client.onClose((reason) => {
      if (reason === undefined || this.client !== client) return;
      this.sendEvent(new OutputEvent(`The machine's worker ended: ${reason}\n`, 'stderr'));
      this.sendEvent(new TerminatedEvent());
      this.dispose();
    });
    forwardEvents(client, (name, body) => this.custom(name, body));
  }

  private begin(): void {
    this.resume(this.config?.stopOnEntry === true ? (debuggee) => runToEntry(debuggee) : (debuggee) => debuggee.run('continue', {}));
  }

  /** The program is read and assembled anew: what was edited is what runs. */
  private async restart(args: DebugProtocol.RestartArguments): Promise<void> {
    const debuggee = this.present();
    const given = args.arguments as Record<string, unknown> | undefined;
    const config = given ? parseLaunchConfig(given) : this.config;
    if (!config) throw new AdapterError('Nothing has been launched');
    await this.writeBack();
    const program = await this.load(config);
    this.stepper?.cancel();
    this.config = config;
    this.endHandled = false;
    this.writeBackFailed = false;
    await debuggee.client.request('restart', { configuration: program.configuration });
    await checkWriteBack(debuggee.client, config, this.services.files);
    debuggee.sourceMap = program.sourceMap;
    for (const breakpoint of await this.breakpoints.resolveAgain()) this.sendEvent(new BreakpointEvent('changed', breakpoint));
    this.begin();
  }

  private async terminate(): Promise<void> {
    const { debuggee } = this;
    if (debuggee && debuggee.state !== 'ended') {
      this.endHandled = true;
      await debuggee.client.request('terminate');
    }
    await this.writeBack();
    this.finish(undefined);
  }

  /** Several ends of a session may come together (terminate and disconnect): they share one writing. */
  private writeBack(): Promise<void> {
    this.writing ??= this.writeBackNow().finally(() => { this.writing = undefined; });
    return this.writing;
  }

  /** What the guest has changed goes to its disks' files, when the configuration says so. @throws AdapterError; a second call gives up what the first could not write. */
  private async writeBackNow(): Promise<void> {
    const { client, config } = this;
    if (!client || !config?.writeBack || this.writeBackFailed) return;
    try {
      for (const path of await writeBack(client, config, this.services.files)) this.sendEvent(new OutputEvent(`${path} was written back.\n`, 'console'));
    } catch (error) {
      this.writeBackFailed = true;
      throw error;
    }
  }

  /** The session's last words. */
  private finish(exitCode: number | undefined): void {
    this.guestOutput.flush();
    this.serialOutput.flush();
    this.afterResponse.push(() => {
      if (exitCode !== undefined) this.sendEvent(new ExitedEvent(exitCode));
      this.sendEvent(new TerminatedEvent());
    });
  }

  // ---- running

  private present(): Debuggee {
    if (!this.debuggee) throw new AdapterError('There is no machine', 'Launch a program first.');
    return this.debuggee;
  }

  private halted(): Debuggee {
    const debuggee = this.present();
    if (debuggee.state === 'running') throw new AdapterError('The guest is running', 'Pause it first.');
    return debuggee;
  }

  private stepping(): Stepper {
    if (!this.stepper) throw new AdapterError('There is no machine', 'Launch a program first.');
    return this.stepper;
  }

  private async step(kind: 'in' | 'over', { granularity, threadId }: DebugProtocol.NextArguments): Promise<void> {
    const by: Granularity = granularity === 'instruction' ? 'instruction' : 'line';
    await this.halted().select(threadId - 1);
    this.resume(() => this.stepping().step(kind, by));
  }

  /** A thread for each processor. */
  private async threads(): Promise<{ threads: DebugProtocol.Thread[] }> {
    const processors = await this.debuggee?.client.request('processors') ?? [{ processor: 0, activity: 'running' as const }];
    const activities = { running: '', halted: ' (halted)', waitingForStartUp: ' (waits to be started)' } as const;
    return { threads: processors.map(({ processor, activity }) => ({ id: processor + 1, name: `CPU ${processor}${processors.length > 1 ? activities[activity] : ''}` })) };
  }

  /** Starts a run after the response, and reports its end. A guest that has ended only has its session left to end. */
  private resume(run: (debuggee: Debuggee) => Promise<Halt>): void {
    const debuggee = this.halted();
    if (debuggee.state === 'ended') {
      this.finish(undefined);
      return;
    }
    this.lastStop = undefined;
    this.afterResponse.push(() => {
      run(debuggee).then((halt) => this.reportHalt(halt), (error: unknown) => {
        if (this.debuggee !== debuggee) return;
        this.sendEvent(new OutputEvent(`${messageOf(error)}\n`, 'stderr'));
        this.sendStopped('step', messageOf(error));
      });
    });
  }

  private async pause(): Promise<void> {
    const debuggee = this.present();
    this.stepper?.cancel();
    await debuggee.client.request('pause');
  }

  private reportHalt(halt: Halt): void {
    this.guestOutput.flush();
    this.serialOutput.flush();
    if (halt.kind === 'ended') {
      this.reportEnd(halt);
      return;
    }
    const { reason } = halt;
    this.lastStop = reason;
    switch (reason.kind) {
      case 'breakpoint':
        this.sendStopped('breakpoint', undefined, { hitBreakpointIds: [...reason.ids] });
        return;
      case 'dataBreakpoint':
        this.sendStopped('data breakpoint', `The memory at 0x${reason.address.toString(16)} was written`);
        return;
      case 'exception':
        this.sendStopped('exception', exceptionText(reason));
        return;
      case 'entry':
        this.sendStopped('entry', 'Before the first instruction');
        return;
      default:
        this.sendStopped(reason.kind);
    }
  }

  private reportEnd({ event }: Extract<Halt, { kind: 'ended' }>): void {
    if (this.endHandled) return;
    this.endHandled = true;
    const { reason, exitStatus } = event;
    const failed = reason.kind === 'tripleFault' || reason.kind === 'internalError';
    const lines = [endReasonText(reason), ...(reason.kind === 'tripleFault' ? postMortemLines(reason.postMortem) : [])];
    this.sendEvent(new OutputEvent(`${lines.join('\n')}\n`, failed ? 'stderr' : 'console'));
    const debugging = this.config?.noDebug !== true;
    if (debugging && reason.kind === 'tripleFault' && this.exceptionFilters.includes(tripleFaultFilter)) {
      this.sendStopped('exception', 'Triple fault: the processor shut down');
    } else if (debugging && this.config?.stopOnEnd === true) {
      this.sendStopped('pause', endReasonText(reason));
    } else {
      this.finishWritten(exitStatus);
    }
  }

  /** The session ends by itself, unless a disk could not be written: then the machine is kept, so that it can be saved elsewhere. */
  private finishWritten(exitStatus: number): void {
    this.writeBack().then(() => {
      this.finish(exitStatus);
      for (const action of this.afterResponse.splice(0)) action();
    }, (error: unknown) => {
      this.sendEvent(new OutputEvent(`${messageOf(error)}\n`, 'stderr'));
      this.sendStopped('exception', messageOf(error));
    });
  }

  private sendStopped(reason: string, description?: string, more: object = {}): void {
    const event = new StoppedEvent(reason, (this.debuggee?.processor ?? 0) + 1);
    Object.assign(event.body, { allThreadsStopped: true, ...(description !== undefined && { description, text: description }), ...more });
    this.sendEvent(event);
  }

  // ---- exceptions

  private async setExceptionBreakpoints(args: DebugProtocol.SetExceptionBreakpointsArguments): Promise<object> {
    this.exceptionFilters = [...args.filters, ...(args.filterOptions ?? []).map(({ filterId }) => filterId)];
    await this.present().client.request('setExceptionStops', { vectors: vectorsOf(this.exceptionFilters) });
    return { breakpoints: this.exceptionFilters.map(() => ({ verified: true })) };
  }

  private async exceptionInfo(): Promise<object> {
    if (this.lastStop?.kind === 'exception') return exceptionInfo(this.lastStop);
    const postMortem = await this.present().client.request('postMortem');
    if (!postMortem) throw new AdapterError('The guest did not stop for an exception');
    return tripleFaultInfo(postMortem);
  }

  // ---- values

  private async evaluate(args: DebugProtocol.EvaluateArguments): Promise<DebugProtocol.EvaluateResponse['body']> {
    const debuggee = this.present();
    if (args.context !== 'repl') return evaluate(debuggee, args.expression, args.format?.hex);
    const body = await execute(debuggee, args.expression);
    if (args.expression.includes('=')) this.invalidate();
    return body;
  }

  /** Registers or memory are not what the client has read. */
  private changed<T>(body: T, memory?: { reference: string; offset: number; count: number }): T {
    this.invalidate();
    if (memory && this.initializeArguments.supportsMemoryEvent === true) {
      parseReference(memory.reference);
      this.sendEvent(new MemoryEvent(memory.reference, memory.offset, memory.count));
    }
    return body;
  }

  private invalidate(): void {
    if (this.initializeArguments.supportsInvalidatedEvent !== true) return;
    this.afterResponse.push(() => this.sendEvent(new InvalidatedEvent(['all'])));
  }

  // ---- views

  private async describe(): Promise<MachineDescription> {
    const debuggee = this.present();
    const { mode } = await debuggee.registers();
    return { state: debuggee.state, program: this.config?.program ?? '', counters: debuggee.counters, mode, sources: debuggee.sourceMap.sources };
  }

  private custom<N extends CustomEventName>(name: N, body: CustomEvents[N]): void {
    this.sendEvent(new Event(name, body));
  }
}

/**
 * The first instruction of the program: where the machine stands, or for a disk, whose machine begins in the BIOS, where the BIOS
 * hands over to the boot sector.
 */
async function runToEntry(debuggee: Debuggee): Promise<Halt> {
  const entry: Halt = { kind: 'stopped', reason: { kind: 'entry' } };
  const linear = await debuggee.linearEip();
  const inBios = (linear >= biosStart && linear < biosEnd) || linear >= resetVectorStart;
  if (!inBios) return entry;
  const halt = await debuggee.run('runTo', { linear: bootSectorAddress });
  return halt.kind === 'stopped' && halt.reason.kind === 'step' ? entry : halt;
}
