/** Guest memory and page tables as documents: `ringside-memory:/lin:0x7c00`, `ringside-pages:/esp`. They follow the stops of the machine. */
import { fromBase64 } from '../../protocol/dap';
import type { MachineSession } from '../machine/session';
import type { MachineSessions } from '../machine/sessions';
import { hexDump } from './documents';
import { StopDocuments } from './stop-documents';

const shownBytes = 1024;

export function memoryDocuments(sessions: MachineSessions): StopDocuments {
  return new StopDocuments('ringside-memory', sessions, async (machine, reference) => {
    const memoryReference = /^(lin|phys):/i.test(reference) ? reference : await resolve(machine, reference);
    const { address, data = '', unreadableBytes = 0 } = await machine.debugSession.customRequest('readMemory', { memoryReference, count: shownBytes }) as
      { address: string; data?: string; unreadableBytes?: number };
    const start = Number(/0x[0-9a-f]+|\d+/i.exec(address)?.[0] ?? NaN);
    const bytes = fromBase64(data);
    return `${reference} (${memoryReference})\n\n${hexDump(start, bytes, Math.min(shownBytes, bytes.length + unreadableBytes))}\n`;
  });
}

/** A label, a register or an expression → a linear reference. */
async function resolve(machine: MachineSession, expression: string): Promise<string> {
  const answer = await machine.debugSession.customRequest('evaluate', { expression, context: 'watch' }) as { result: string };
  const value = /0x[0-9a-f]+|\b\d+\b/i.exec(answer.result)?.[0];
  if (value === undefined) throw new Error(`is ${answer.result}, which is no address`);
  return `lin:${value}`;
}

export function pageTableDocuments(sessions: MachineSessions): StopDocuments {
  return new StopDocuments('ringside-pages', sessions, async (machine, expression) => {
    const { text } = await machine.debugSession.customRequest('ringside/pageTables', { expression }) as { text: string };
    return text;
  });
}
