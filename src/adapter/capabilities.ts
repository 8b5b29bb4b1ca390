/** What the adapter can do, as rows: the response to `initialize` is made of them. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import { exceptionFilters } from './exceptions';

type Capability = keyof DebugProtocol.Capabilities;

const offered: readonly { readonly capability: Capability; readonly because: string }[] = [
  { capability: 'supportsConfigurationDoneRequest', because: 'The guest starts when all breakpoints are known.' },
  { capability: 'supportsFunctionBreakpoints', because: 'A label is a function.' },
  { capability: 'supportsConditionalBreakpoints', because: 'Conditions are evaluated in the worker.' },
  { capability: 'supportsHitConditionalBreakpoints', because: 'Hits are counted in the worker.' },
  { capability: 'supportsLogPoints', because: 'The worker prints and goes on.' },
  { capability: 'supportsInstructionBreakpoints', because: 'An instruction is named by its linear address.' },
  { capability: 'supportsBreakpointLocationsRequest', because: 'The source map knows the lines that have code.' },
  { capability: 'supportsSteppingGranularity', because: 'Lines and instructions.' },
  { capability: 'supportsSetVariable', because: 'Registers, flags and control bits.' },
  { capability: 'supportsSetExpression', because: 'Registers and memory in the watch view.' },
  { capability: 'supportsEvaluateForHovers', because: 'Registers and labels under the mouse.' },
  { capability: 'supportsValueFormattingOptions', because: 'Values are hexadecimal unless asked otherwise.' },
  { capability: 'supportsReadMemoryRequest', because: 'lin: and phys: references.' },
  { capability: 'supportsWriteMemoryRequest', because: 'lin: and phys: references.' },
  { capability: 'supportsDisassembleRequest', because: 'In the guest\'s current mode.' },
  { capability: 'supportsRestartRequest', because: 'The program is assembled anew.' },
  { capability: 'supportsTerminateRequest', because: 'The machine is switched off, then the session ends.' },
  { capability: 'supportsExceptionInfoRequest', because: 'Vector, error code and address in words.' },
  { capability: 'supportsExceptionFilterOptions', because: 'Filters carry no options, clients may send them this way.' },
  { capability: 'supportsLoadedSourcesRequest', because: 'The files that the source map knows.' },
  { capability: 'supportsCompletionsRequest', because: 'Registers, labels and commands in the debug console.' },
];

export function capabilities(): DebugProtocol.Capabilities {
  return {
    ...Object.fromEntries(offered.map(({ capability }) => [capability, true])),
    exceptionBreakpointFilters: exceptionFilters.map(({ filter, label, description, default: on }) => ({ filter, label, description, default: on })),
    completionTriggerCharacters: ['.', '[', ' '],
  };
}
