/** A kernel on v86, loaded by its own Multiboot loader, without a BIOS. The package is a development dependency: it is looked for when it is wanted. */
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as v86 from 'v86';
import type { V86 as V86Machine, V86Options } from 'v86';
import { BatchMarks, GO, type Batch } from './batch';
import { MEMORY_MIB } from './kernels';
import { Stopwatch } from './stopwatch';

/** The package's folder of programs; undefined where it is not installed. */
export function v86Folder(): string | undefined {
  try {
    return path.dirname(createRequire(__filename).resolve('v86'));
  } catch {
    return undefined;
  }
}

/** @throws Error when the package is not there */
export async function v86Machine(options: V86Options): Promise<V86Machine> {
  const folder = v86Folder();
  if (folder === undefined) throw new Error('v86 is not installed');
  const { V86 } = await import(pathToFileURL(path.join(folder, 'libv86.mjs')).href) as typeof v86;
  const machine = new V86({ wasm_path: path.join(folder, 'v86.wasm'), vga_memory_size: 2 << 20, disable_speaker: true, autostart: false, log_level: 0, ...options });
  await new Promise<void>((resolve) => machine.add_listener('emulator-ready', () => resolve()));
  return machine;
}

export async function v86Guest(image: Uint8Array): Promise<{ batch(): Promise<Batch> }> {
  const machine = await v86Machine({ memory_size: MEMORY_MIB << 20, multiboot: { buffer: new Uint8Array(image).buffer } });
  const watch = new Stopwatch();
  let finished: (batch: Batch) => void = () => undefined;
  let failed: (error: Error) => void = () => undefined;
  let ready: () => void = () => undefined;
  const booted = new Promise<void>((resolve) => { ready = resolve; });
  const marks = new BatchMarks({
    ready,
    started: () => watch.start(),
    ended: (wrong) => {
      const batch = { ...watch.read(), instructions: undefined };
      if (wrong === undefined) finished(batch);
      else failed(new Error(`wrong result ${wrong}`));
    },
  });
  machine.add_listener('serial0-output-byte', (byte: number) => marks.byte(byte));
  await machine.run();
  await booted;
  return {
    batch: () => new Promise((resolve, reject) => {
      finished = resolve;
      failed = reject;
      machine.serial0_send(String.fromCharCode(GO));
    }),
  };
}
