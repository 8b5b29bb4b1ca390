/** `ringside run`: a guest in this terminal. Its output goes to standard output; what we say about it goes behind it or to standard error. */
import fs from 'node:fs';
import { exitStatus, endReasonText } from '../protocol/exit-status';
import { scancodesForText } from '../protocol/keys';
import { codeSize, linearEip } from '../protocol/registers';
import { linesOf } from '../protocol/codepage437';
import { MachineError, type MachineApi } from '../vmm/machine/api';
import { VIRTIO_CONSOLE_PORT } from '../vmm/machine/virtio';
import { deferred } from '../vmm/network/host';
import { nodeRegionCompiler } from '../worker/node-compiler';
import { nodeNetwork } from '../worker/node-network';
import { createMachine } from '../vmm/machine/machine';
import { Bell } from './bell';
import { CliError } from './errors';
import { fileReason, replaceFile, writeOutput } from './files';
import { countersJson, countersTable, type RunSummary } from './format/counters';
import { postMortemText } from './format/post-mortem';
import { registersText } from './format/registers';
import { heading } from './format/text';
import { guestConfiguration, writableFiles, type DriveFile, type GuestOptions } from './guest';
import { noInput, StandardInput, terminalHelp } from './input';
import { Output } from './output';
import { png } from './png';
import { runMachine, type RunEnd } from './run-loop';

export interface RunOptions extends Omit<GuestOptions, 'pace'> {
  readonly pace?: 'realtime' | 'max';
  readonly serial: string;
  readonly com2?: string;
  readonly com3?: string;
  readonly com4?: string;
  readonly timeout?: number;
  readonly counters?: 'table' | 'json';
  readonly registers?: boolean;
  readonly screen: 'end' | 'none';
  readonly screenshot?: string;
  readonly type?: string;
  readonly writeBack?: boolean;
}

export const TIMEOUT_STATUS = 124;
const signalStatus = { SIGINT: 130, SIGTERM: 143, SIGPIPE: 141 } as const;
const HIDDEN_FAULT_ROWS = 10;
/** Instructions shown before and after the faulting one. */
const AROUND = 5;

/** @throws CliError, MachineError for bad input. */
export async function run(file: string | undefined, options: RunOptions): Promise<number> {
  const interactive = (options.serial === 'stdio' || options.virtioConsole === true) && process.stdin.isTTY === true;
  const configuration = guestConfiguration(file, { ...options, pace: options.pace ?? (interactive ? 'realtime' : 'max') });
  const scancodes = keysOf(options.type);
  const writable = options.writeBack ? writableFiles(file, options, configuration) : [];
  const output = new Output(process.stdout);
  const serial = [serialOutput('serial', options.serial, output), ...(['com2', 'com3', 'com4'] as const).map((name) => serialOutput(name, options[name] ?? 'null', output)), serialOutput('virtio-console', 'stdio', output)];
  const bell = new Bell();
  const events: (() => void)[] = [];
  let stopped: RunEnd | undefined;
  const stop = (end: RunEnd): void => {
    stopped ??= end;
    bell.ring();
  };
  const regionCompiler = nodeRegionCompiler();
  const machine = createMachine(configuration, {
    ...(regionCompiler && { regionCompiler }),
    serial: (port, bytes) => serial[port]?.write(bytes),
    debugPort: (bytes) => output.write(bytes),
    log: (text) => console.error(`ringside: ${text}`),
    network: deferred(nodeNetwork, (event) => {
      events.push(event);
      bell.ring();
    }),
  });
  const onInterrupt = (): void => stop({ kind: 'interrupted', signal: 'SIGINT' });
  const onTerminate = (): void => stop({ kind: 'interrupted', signal: 'SIGTERM' });
  process.on('SIGINT', onInterrupt).on('SIGTERM', onTerminate);
  // Without the first serial port on it, the terminal is the virtio console's.
  const inputPort = options.virtioConsole && options.serial !== 'stdio' ? VIRTIO_CONSOLE_PORT : 0;
  const input = options.serial !== 'stdio' && inputPort === 0 ? undefined : new StandardInput(process.stdin, () => bell.ring(), (command) => {
    if (command === 'interrupt') onInterrupt();
    else if (command === 'quit') stop({ kind: 'quit' });
    else console.error(terminalHelp);
  });
  const begin = performance.now();
  try {
    const end = await runMachine(machine, {
      input: input ?? noInput, inputPort, events, bell, scancodes, timeoutMilliseconds: (options.timeout ?? Infinity) * 1000,
      stopped: () => (output.closed ? { kind: 'interrupted', signal: 'SIGPIPE' } : stopped),
      drained: () => output.drained(), now: () => performance.now(),
    });
    writeBack(machine, writable);
    if (options.screenshot !== undefined) writeOutput(options.screenshot, png(machine.picture()));
    report(machine, end, performance.now() - begin, options, output);
    return statusOf(end);
  } finally {
    input?.close();
    for (const port of serial) port.close();
    machine.dispose();
    process.off('SIGINT', onInterrupt).off('SIGTERM', onTerminate);
  }
}

/** What the guest has changed goes to the files that it came from; each is replaced as a whole, and one that fails does not keep the others from being written. */
function writeBack(machine: MachineApi, files: readonly DriveFile[]): void {
  const problems: CliError[] = [];
  for (const { drive, path } of files) {
    try {
      const bytes = machine.changedDrive(drive);
      if (bytes === undefined) continue;
      replaceFile(path, bytes);
      console.error(`ringside: ${path} was written back.`);
    } catch (error) {
      if (!(error instanceof CliError || error instanceof MachineError)) throw error;
      problems.push(new CliError(error.message, error.advice));
    }
  }
  if (problems.length > 0) throw new CliError(problems.map(({ message }) => message).join('\n'), problems.map(({ advice }) => advice).filter(Boolean).join('\n'));
}

function keysOf(text: string | undefined): readonly number[] {
  const { scancodes, untypable } = scancodesForText(text ?? '');
  if (untypable !== '') throw new CliError(`--type: a PC keyboard cannot type ${JSON.stringify(untypable)}`);
  return scancodes;
}

function serialOutput(option: string, where: string, output: Output): { write(bytes: Uint8Array): void; close(): void } {
  if (where === 'stdio') return { write: (bytes) => output.write(bytes), close: () => undefined };
  if (where === 'null') return { write: () => undefined, close: () => undefined };
  const failed = (error: unknown): CliError => new CliError(`--${option}: ${where} cannot be written: ${fileReason(error)}`);
  let file: number;
  try {
    file = fs.openSync(where, 'w');
  } catch (error) {
    throw failed(error);
  }
  return {
    write: (bytes) => {
      try {
        fs.writeSync(file, bytes);
      } catch (error) {
        throw failed(error);
      }
    },
    close: () => fs.closeSync(file),
  };
}

export function statusOf(end: RunEnd): number {
  switch (end.kind) {
    case 'ended': return exitStatus(end.reason);
    case 'timeout': return TIMEOUT_STATUS;
    case 'interrupted': return signalStatus[end.signal];
    case 'waiting':
    case 'quit': return 0;
  }
}

function endText(end: RunEnd, options: RunOptions): string {
  switch (end.kind) {
    case 'ended': return endReasonText(end.reason);
    case 'timeout': return `The time limit of ${options.timeout} s was reached.`;
    case 'interrupted': return `Ended by ${end.signal}.`;
    case 'waiting': return 'The guest waits for input, and none can come.';
    case 'quit': return 'Ended from the terminal.';
  }
}

function report(machine: MachineApi, end: RunEnd, hostMilliseconds: number, options: RunOptions, output: Output): void {
  const summary: RunSummary = {
    end: end.kind === 'ended' ? end.reason.kind : end.kind === 'quit' ? 'terminated' : end.kind, exitStatus: statusOf(end),
    hostMilliseconds, counters: machine.counters(), hiddenPageFaults: machine.hiddenPageFaults(HIDDEN_FAULT_ROWS),
  };
  const screen = linesOf(machine.screen()).join('\n').replace(/^\n+/, '').trimEnd();
  if (options.screen === 'end' && screen !== '') output.report(`${heading('screen')}\n${screen}`);
  if (end.kind === 'ended' && end.reason.kind === 'tripleFault') {
    const { postMortem } = end.reason;
    const at = linearEip(postMortem.registers);
    console.error(`${heading('post-mortem')}\n${postMortemText(postMortem, machine.disassemble(at, -AROUND, 2 * AROUND + 1, codeSize(postMortem.registers)))}`);
  }
  if (options.registers) output.report(`${heading('registers')}\n${registersText(machine.registers())}`);
  const counters = options.counters ?? (end.kind === 'interrupted' ? 'table' : undefined);
  if (counters === 'table') output.report(`${heading('counters')}\n${countersTable(summary)}`);
  if (counters === 'json') output.report(countersJson(summary));
  console.error(`ringside: ${endText(end, options)}`);
}
