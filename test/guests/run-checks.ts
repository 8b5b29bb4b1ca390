/**
 * `npm run guests`: runs every guest check, each in a process of its own with a time limit, and prints a table. Arguments choose checks by
 * parts of their names. Ends with 1 when one failed or could not run.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { guestFile } from '../support/guests';
import { guestChecks, type GuestCheck } from './checks';

const ONE = '--one';
const LIMIT_MILLISECONDS = 30 * 60_000;

interface Measured {
  readonly virtualSeconds: number;
  readonly instructions: number;
  readonly hostSeconds: number;
}

function runOne(check: GuestCheck): Measured {
  const files = check.files.map((name) => fs.readFileSync(guestFile(name).path!));
  const begin = performance.now();
  const guest = check.run(files);
  return { virtualSeconds: guest.seconds, instructions: guest.instructions, hostSeconds: (performance.now() - begin) / 1000 };
}

function inProcess(check: GuestCheck): { readonly result: string; readonly measured?: Measured; readonly failure?: string } {
  const missing = check.files.map(guestFile).find((file) => file.path === undefined);
  if (missing) return { result: 'missing', failure: missing.missing };
  const { status, stdout, stderr, error } = spawnSync(process.execPath, ['--enable-source-maps', __filename, ONE, check.id], { encoding: 'utf8', timeout: LIMIT_MILLISECONDS, maxBuffer: 1 << 26 });
  if (error) return { result: 'failed', failure: error.message };
  if (status !== 0) return { result: 'failed', failure: stderr };
  return { result: 'passed', measured: JSON.parse(stdout) as Measured };
}

function main(wanted: readonly string[]): number {
  if (wanted[0] === ONE) {
    process.stdout.write(JSON.stringify(runOne(guestChecks.find(({ id }) => id === wanted[1])!)));
    return 0;
  }
  const checks = guestChecks.filter(({ id }) => wanted.length === 0 || wanted.some((part) => id.includes(part)));
  if (checks.length === 0) {
    console.error(`No check is named ${wanted.join(' or ')}; there are ${guestChecks.map(({ id }) => id).join(', ')}.`);
    return 2;
  }
  const width = Math.max(...checks.map(({ id }) => id.length));
  console.log(`${'guest'.padEnd(width)}  result   host s  virtual s  M instructions  M/s`);
  const failures: string[] = [];
  for (const check of checks) {
    const { result, measured, failure } = inProcess(check);
    const numbers = measured && [
      measured.hostSeconds.toFixed(1).padStart(7), measured.virtualSeconds.toFixed(1).padStart(10), (measured.instructions / 1e6).toFixed(0).padStart(15),
      (measured.instructions / 1e6 / measured.hostSeconds).toFixed(0).padStart(4),
    ].join(' ');
    console.log(`${check.id.padEnd(width)}  ${result.padEnd(7)} ${numbers ?? ''}  ${check.title}`);
    if (result !== 'passed') failures.push(`${check.id}: ${failure}`);
  }
  if (failures.length > 0) console.log(`\n${failures.join('\n\n')}`);
  console.log(`\n${checks.length - failures.length} passed, ${failures.length} failed`);
  return failures.length > 0 ? 1 : 0;
}

process.exitCode = main(process.argv.slice(2));
