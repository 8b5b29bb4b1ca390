// Running other programs: with their output passed on, or collected. Standard input is always closed: nothing here may ask questions.
import { spawn, spawnSync } from 'node:child_process';
import { root } from './project.mjs';

/**
 * Runs a program and resolves to { status, output }. With `quiet` the output (stdout and stderr as they came) is collected instead of
 * shown. A program that cannot be started counts as status 127; one that runs longer than `timeoutMs` is ended and counts as status 124.
 */
export function run(command, args, { cwd = root, env = {}, quiet = false, timeoutMs } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd, env: { ...process.env, ...env }, stdio: ['ignore', quiet ? 'pipe' : 'inherit', quiet ? 'pipe' : 'inherit'], shell: needsShell(command),
    });
    let output = '';
    const collect = (chunk) => { output += chunk; };
    child.stdout?.setEncoding('utf8').on('data', collect);
    child.stderr?.setEncoding('utf8').on('data', collect);
    let late = false;
    const timer = timeoutMs && setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    child.on('error', (error) => resolve({ status: 127, output: `${output}${command}: ${error.message}\n` }));
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      if (late) resolve({ status: 124, output: `${output}${command}: still running after ${timeoutMs / 1000} s, ended\n` });
      else resolve({ status: status ?? 128, output: signal ? `${output}${command}: ended by ${signal}\n` : output });
    });
  });
}

/** Runs a program to its end and throws when it fails; its output is part of the message. */
export async function runOrThrow(command, args, options = {}) {
  const { status, output } = await run(command, args, options);
  if (status !== 0) throw new Error(`${[command, ...args].join(' ')} failed with status ${status}${output ? `:\n${output}` : ''}`);
  return output;
}

/** True when `command` can be found on the PATH. */
export function onPath(command) {
  const finder = process.platform === 'win32' ? 'where' : 'which';
  return spawnSync(finder, [command], { stdio: 'ignore' }).status === 0;
}

// npm and code are .cmd files on Windows, which only a shell can start.
function needsShell(command) {
  return process.platform === 'win32' && (command === 'npm' || command === 'code');
}
