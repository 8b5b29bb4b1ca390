/**
 * The breakpoints of the four kinds that the protocol knows (source lines, labels, instructions, and all with conditions, hit counts
 * and log messages), translated into the machine's one kind: addresses.
 */
import type { DebugProtocol } from '@vscode/debugprotocol';
import { parseExpression, parseHitCondition, parseLogMessage } from '../protocol/expression';
import type { BreakpointSpec } from '../protocol/messages';
import { messageOf } from './adapter-error';
import type { Debuggee } from './debuggee';
import { linearReference, parseReference } from './memory';
import { makeSource } from './sources';

interface Wanted {
  readonly id: number;
  readonly source?: { readonly path: string; readonly line: number };
  readonly label?: string;
  readonly instruction?: { readonly reference: string; readonly offset: number };
  readonly condition?: string;
  readonly hitCondition?: string;
  readonly log?: string;
}
type Conditions = Pick<DebugProtocol.SourceBreakpoint, 'condition' | 'hitCondition' | 'logMessage'>;

export class Breakpoints {
  /** By source path, and under '#labels' and '#instructions': each request replaces its own set. */
  private readonly sets = new Map<string, readonly Wanted[]>();
  /** The same breakpoint set again keeps its id, and with it its hit count. */
  private readonly ids = new Map<string, number>();

  constructor(private readonly debuggee: () => Debuggee | undefined) {}

  async setSource(args: DebugProtocol.SetBreakpointsArguments): Promise<DebugProtocol.Breakpoint[]> {
    const path = args.source.path ?? '';
    return this.replace(path, (args.breakpoints ?? []).map((one) => this.wanted({ source: { path, line: one.line } }, one)));
  }

  async setFunctions(args: DebugProtocol.SetFunctionBreakpointsArguments): Promise<DebugProtocol.Breakpoint[]> {
    return this.replace('#labels', args.breakpoints.map((one) => this.wanted({ label: one.name }, one)));
  }

  async setInstructions(args: DebugProtocol.SetInstructionBreakpointsArguments): Promise<DebugProtocol.Breakpoint[]> {
    return this.replace('#instructions', args.breakpoints.map((one) => this.wanted({ instruction: { reference: one.instructionReference, offset: one.offset ?? 0 } }, one)));
  }

  /** The program was assembled anew. @returns all breakpoints as they now stand. */
  async resolveAgain(): Promise<DebugProtocol.Breakpoint[]> {
    const all = [...this.sets.values()].flat();
    const resolved = all.map((one) => this.resolve(one));
    await this.send();
    return resolved.map(({ breakpoint }) => breakpoint);
  }

  private wanted(place: Partial<Wanted>, { condition, hitCondition, logMessage }: Conditions): Wanted {
    const conditions = { ...(condition && { condition }), ...(hitCondition && { hitCondition }), ...(logMessage && { log: logMessage }) };
    const key = JSON.stringify([place, conditions]);
    let id = this.ids.get(key);
    if (id === undefined) this.ids.set(key, (id = this.ids.size + 1));
    return { id, ...place, ...conditions };
  }

  private async replace(set: string, wanted: readonly Wanted[]): Promise<DebugProtocol.Breakpoint[]> {
    this.sets.set(set, wanted);
    await this.send();
    return wanted.map((one) => this.resolve(one).breakpoint);
  }

  private async send(): Promise<void> {
    const specs = new Map<string, BreakpointSpec>();
    for (const wanted of [...this.sets.values()].flat()) {
      for (const spec of this.resolve(wanted).specs) specs.set(`${spec.id}:${spec.linear}`, spec);
    }
    await this.debuggee()?.client.request('setBreakpoints', { breakpoints: [...specs.values()] });
  }

  private resolve(wanted: Wanted): { breakpoint: DebugProtocol.Breakpoint; specs: BreakpointSpec[] } {
    const { id } = wanted;
    try {
      const place = this.place(wanted);
      if (typeof place === 'string') return { breakpoint: { id, verified: false, message: place }, specs: [] };
      const conditions = this.conditions(wanted);
      const first = place.linear[0] ?? 0;
      return {
        breakpoint: {
          id, verified: true, instructionReference: linearReference(first),
          ...(place.source && { source: makeSource(place.source.path), line: place.source.line }),
        },
        specs: place.linear.map((linear) => ({ id, linear, ...conditions })),
      };
    } catch (error) {
      return { breakpoint: { id, verified: false, message: messageOf(error) }, specs: [] };
    }
  }

  /** Addresses, or why there are none. */
  private place(wanted: Wanted): { linear: readonly number[]; source?: { path: string; line: number } } | string {
    const map = this.debuggee()?.sourceMap;
    if (!map) return 'The program is not loaded yet';
    if (wanted.source) {
      const { path, line } = wanted.source;
      if (!map.hasSource(path)) return 'The program has no code from this file';
      const found = map.resolve(path, line);
      return found ? { linear: found.linear, source: { path, line: found.line } } : `There is no code at or after line ${line}`;
    }
    if (wanted.label !== undefined) {
      const linear = map.symbol(wanted.label.trim()) ?? addressIn(wanted.label);
      if (linear === undefined) return `There is no label "${wanted.label}"`;
      const source = map.locate(linear);
      return { linear: [linear], ...(source && { source }) };
    }
    const { reference, offset } = wanted.instruction ?? { reference: '', offset: 0 };
    const { space, address } = parseReference(reference);
    if (space !== 'linear') return 'A breakpoint needs a linear address';
    const linear = address + offset;
    const source = map.locate(linear);
    return { linear: [linear], ...(source && { source }) };
  }

  private conditions({ condition, hitCondition, log }: Wanted): Pick<BreakpointSpec, 'condition' | 'hitCondition' | 'log'> {
    const debuggee = this.debuggee();
    const bind = (text: string): string => {
      parseExpression(text);
      return debuggee ? debuggee.bind(text) : text;
    };
    if (hitCondition !== undefined) parseHitCondition(hitCondition);
    const pieces = log === undefined ? [] : parseLogMessage(log);
    return {
      ...(condition !== undefined && { condition: bind(condition) }),
      ...(hitCondition !== undefined && { hitCondition }),
      ...(log !== undefined && { log: pieces.map((piece) => (typeof piece === 'string' ? piece.replace(/[{}]/g, '$&$&') : `{${bind(piece.expression)}}`)).join('') }),
    };
  }

  /** Lines with code between two lines of a source, for the editor's gutter. */
  locations({ source, line, endLine }: DebugProtocol.BreakpointLocationsArguments): DebugProtocol.BreakpointLocation[] {
    const lines = this.debuggee()?.sourceMap.linesOf(source.path ?? '') ?? [];
    return lines.filter((row) => row.line >= line && row.line <= (endLine ?? line)).map((row) => ({ line: row.line }));
  }
}

/** `0x7c00`, `*0x7c00` or `lin:0x7c00` in place of a label. */
function addressIn(text: string): number | undefined {
  const match = /^(?:\*|lin:)?(0x[0-9a-f]+)$/i.exec(text.trim());
  return match ? Number(match[1]) : undefined;
}
