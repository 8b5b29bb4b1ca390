/** Finds the guests that tools/guests.mjs fetched from Debian packages. The test runner fetches them and names their index. */
import fs from 'node:fs';

export type GuestFile = { readonly path: string; readonly missing?: undefined } | { readonly path?: undefined; readonly missing: string };

/** The file of that name in tools/guests.json, or the reason why it is not here. */
export function guestFile(name: string): GuestFile {
  const index = process.env.RINGSIDE_GUESTS;
  if (!index || !fs.existsSync(index)) return { missing: 'the guests were not fetched: run the tests with npm test or npm run test:suite' };
  const files = JSON.parse(fs.readFileSync(index, 'utf8')) as Record<string, GuestFile>;
  if (!Object.hasOwn(files, name)) throw new Error(`tools/guests.json names no file ${name}; it names ${Object.keys(files).join(', ')}`);
  return files[name];
}

/** The guest's bytes; a test whose guest is missing is skipped, and the reason printed. */
export function readGuest(test: Mocha.Context, name: string): Uint8Array {
  const found = guestFile(name);
  if (found.path !== undefined) return fs.readFileSync(found.path);
  console.log(`      ${name}: ${found.missing}`);
  return test.skip();
}
