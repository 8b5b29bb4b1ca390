/** What another process had of the processors, and how much memory it holds: Linux's /proc. */
import fs from 'node:fs';

/** USER_HZ, which is 100 on every architecture that runs Node. */
const TICKS_PER_SECOND = 100;

/** Of all threads of a process, in steps of a tick; undefined on systems without /proc and for a process that is gone. */
export function processMilliseconds(pid: number): number | undefined {
  try {
    const text = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name, in parentheses, may hold blanks: fields are counted behind it. The 14th and 15th are user and system time.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 1000 / TICKS_PER_SECOND;
  } catch {
    return undefined;
  }
}
