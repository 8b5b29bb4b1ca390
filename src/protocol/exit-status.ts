/** The exit status that stands for the way a machine ended, for the command line and for the debug session's exit code. */
import type { EndReason } from './messages';

export function exitStatus(reason: EndReason): number {
  switch (reason.kind) {
    case 'debugExit': return reason.status;
    case 'halted':
    case 'powerOff':
    case 'terminated': return 0;
    case 'internalError': return 1;
    case 'tripleFault': return 3;
    case 'instructionLimit': return 4;
  }
}

/** How a machine ended, as a sentence. */
export function endReasonText(reason: EndReason): string {
  switch (reason.kind) {
    case 'debugExit': return `The guest wrote the debug-exit port: status ${reason.status}.`;
    case 'halted': return 'The guest halted with interrupts off; nothing can wake it.';
    case 'powerOff': return 'The guest powered the machine off.';
    case 'terminated': return 'The machine was terminated.';
    case 'instructionLimit': return 'The instruction limit was reached.';
    case 'tripleFault': return 'Triple fault: the processor shut down.';
    case 'internalError': return `Ringside failed while running the guest: ${reason.message}`;
  }
}
