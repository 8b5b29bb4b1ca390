/** The types of cpio.mjs, for tests. */
export type CpioEntry =
  | { readonly path: string; readonly directory: true }
  | { readonly path: string; readonly bytes: Uint8Array; readonly executable?: boolean }
  | { readonly path: string; readonly link: string }
  | { readonly path: string; readonly device: readonly [number, number] };

export function cpioArchive(entries: readonly CpioEntry[]): Buffer;
