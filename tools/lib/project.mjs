// Where things are: the project's root, and the user's cache directory for what is too large to live in a checkout.
import os from 'node:os';
import path from 'node:path';

export const root = path.resolve(import.meta.dirname, '..', '..');

/** Path inside the project. */
export const inProject = (...parts) => path.join(root, ...parts);

/** Folder for downloads that several checkouts share. RINGSIDE_CACHE overrides the platform's usual place. */
export function cacheDirectory(...parts) {
  return path.join(process.env.RINGSIDE_CACHE ?? path.join(platformCache(), 'ringside'), ...parts);
}

function platformCache() {
  if (process.env.XDG_CACHE_HOME) return process.env.XDG_CACHE_HOME;
  if (process.platform === 'darwin') return path.join(os.homedir(), 'Library', 'Caches');
  if (process.platform === 'win32') return process.env.LOCALAPPDATA ?? path.join(os.homedir(), 'AppData', 'Local');
  return path.join(os.homedir(), '.cache');
}
