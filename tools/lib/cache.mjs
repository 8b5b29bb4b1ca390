// The user's cache directory: downloads that are too large for a checkout, or that may not be committed, shared by all checkouts.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** Path inside the cache. RINGSIDE_CACHE overrides the platform's usual place. */
export function cacheDirectory(...parts) {
  return path.join(process.env.RINGSIDE_CACHE ?? path.join(platformCache(), 'ringside'), ...parts);
}

function platformCache() {
  if (process.env.XDG_CACHE_HOME) return process.env.XDG_CACHE_HOME;
  if (process.platform === 'darwin') return path.join(os.homedir(), 'Library', 'Caches');
  if (process.platform === 'win32') return process.env.LOCALAPPDATA ?? path.join(os.homedir(), 'AppData', 'Local');
  return path.join(os.homedir(), '.cache');
}

/**
 * Makes `folder` by filling a temporary one beside it and renaming that at the end: an interrupted run leaves nothing that looks complete,
 * and when two runs make the same folder, the first one counts.
 * @param {(partial: string) => Promise<string>} fill resolves to the folder to keep: the temporary one or one inside it
 */
export async function fillOnce(folder, fill) {
  fs.mkdirSync(path.dirname(folder), { recursive: true });
  const partial = fs.mkdtempSync(`${folder}-partial-`);
  try {
    const complete = await fill(partial);
    try {
      fs.renameSync(complete, folder);
    } catch (error) {
      if (!fs.existsSync(folder)) throw error;
    }
  } finally {
    fs.rmSync(partial, { recursive: true, force: true });
  }
}
