// Modules of tools/ are commands and libraries at once; this tells which one is meant.
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';

/** True when Node was started with this module, given its import.meta.url. */
export function isMain(url) {
  return process.argv[1] !== undefined && fs.realpathSync(process.argv[1]) === fs.realpathSync(fileURLToPath(url));
}
