/**
 * A machine in a process of its own, so that neither its garbage nor its compiler's threads disturb the others: what `ringside bench-contestant` does. It
 * answers each request of its parent with a batch.
 */
import fs from 'node:fs';
import type { Batch } from './batch';
import { ringsideGuest } from './ringside-guest';
import { v86Guest } from './v86-guest';

/** From the process to its parent. */
export type ContestantMessage = { readonly kind: 'ready' } | { readonly kind: 'batch'; readonly batch: Batch } | { readonly kind: 'failed'; readonly message: string };

interface Guest {
  batch(): Batch | Promise<Batch>;
}

const guests: Readonly<Record<string, (image: Uint8Array) => Guest | Promise<Guest>>> = { ringside: ringsideGuest, v86: v86Guest };

export const processNames: readonly string[] = Object.keys(guests);

/** Serves until the parent goes away. */
export async function contestantProcess(name: string, imageFile: string): Promise<void> {
  const send = (message: ContestantMessage): void => { process.send?.(message); };
  const guest = await guests[name](new Uint8Array(fs.readFileSync(imageFile)));
  process.on('disconnect', () => process.exit(0));
  process.on('message', () => {
    Promise.resolve().then(() => guest.batch()).then((batch) => send({ kind: 'batch', batch }), (error: Error) => send({ kind: 'failed', message: error.message }));
  });
  send({ kind: 'ready' });
  await new Promise<never>(() => undefined);
}
