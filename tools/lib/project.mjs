// Where the project is.
import path from 'node:path';

export const root = path.resolve(import.meta.dirname, '..', '..');

/** Path inside the project. */
export const inProject = (...parts) => path.join(root, ...parts);
