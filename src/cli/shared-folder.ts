/** Reads a folder for --share: a snapshot with modes and times. Symbolic links and special files are left out, so that nothing outside is shared. */
import fs from 'node:fs';
import path from 'node:path';
import type { SharedFolder } from '../protocol/messages';
import { DEFAULT_TAG, SHARED_FOLDER_ADVICE, SharedFolderMeter } from '../protocol/shared-folder';
import { CliError } from './errors';
import { fileReason, readInput } from './files';

type File = SharedFolder['files'][number];

/** @param option FOLDER or FOLDER=TAG. @throws CliError that names the file */
export function sharedFolder(option: string): SharedFolder {
  const equals = option.lastIndexOf('=');
  const [folder, tag] = equals < 0 ? [option, DEFAULT_TAG] : [option.slice(0, equals), option.slice(equals + 1)];
  if (folder === '' || tag === '') throw new CliError(`--share: ${option} is not FOLDER or FOLDER=TAG`);
  const meter = new SharedFolderMeter();
  const files: File[] = [];
  const waiting = [''];
  for (let inside = waiting.pop(); inside !== undefined; inside = waiting.pop()) {
    for (const { name, file, stat } of entries(path.join(folder, inside))) {
      const problem = meter.add(stat.isFile() ? stat.size : 0);
      if (problem) throw new CliError(`--share: ${folder} cannot be shared: ${problem}`, SHARED_FOLDER_ADVICE);
      const at = inside === '' ? name : `${inside}/${name}`;
      const common = { path: at, mode: stat.mode & 0o777, modified: Math.floor(stat.mtimeMs / 1000) };
      if (stat.isFile()) {
        files.push({ ...common, bytes: readInput(file) });
      } else {
        files.push(common);
        waiting.push(at);
      }
    }
  }
  return { tag, files };
}

function entries(folder: string): { name: string; file: string; stat: fs.Stats }[] {
  try {
    const found = fs.readdirSync(folder).sort().map((name) => {
      const file = path.join(folder, name);
      return { name, file, stat: fs.lstatSync(file) };
    });
    return found.filter(({ stat }) => stat.isFile() || stat.isDirectory());
  } catch (error) {
    throw new CliError(`--share: ${folder} cannot be read: ${fileReason(error)}`);
  }
}
