/** Reads the folder of `sharedFolder` for a machine: a snapshot, bounded before a file is read. */
import type { SharedFolder } from '../protocol/messages';
import { DEFAULT_TAG, SHARED_FOLDER_ADVICE, SharedFolderMeter } from '../protocol/shared-folder';
import { AdapterError, messageOf } from './adapter-error';
import type { FileAccess } from './services';

/** @throws AdapterError that names the field and the path */
export async function readSharedFolder(folder: string, access: FileAccess): Promise<SharedFolder> {
  const wrong = (reason: string, advice?: string): AdapterError => new AdapterError(`launch.json: "sharedFolder": ${folder} ${reason}`, advice);
  if (!access.readFolder) throw wrong('cannot be read: folders cannot be read here');
  const meter = new SharedFolderMeter();
  const names: { path: string; folder: boolean; modified: number }[] = [];
  const root = folder.replace(/[/\\]+$/, '');
  try {
    const waiting = [''];
    for (let inside = waiting.pop(); inside !== undefined; inside = waiting.pop()) {
      for (const { name, bytes, ...entry } of await access.readFolder(inside === '' ? folder : `${root}/${inside}`)) {
        const problem = meter.add(bytes);
        if (problem) throw wrong(`cannot be shared: ${problem}`, SHARED_FOLDER_ADVICE);
        const path = inside === '' ? name : `${inside}/${name}`;
        names.push({ path, ...entry });
        if (entry.folder) waiting.push(path);
      }
    }
    const files: SharedFolder['files'][number][] = [];
    for (const { path, folder: isFolder, modified } of names) {
      files.push({ path, modified, mode: 0o755, ...(!isFolder && { bytes: await access.readFile(`${root}/${path}`) }) });
    }
    return { tag: DEFAULT_TAG, files };
  } catch (error) {
    throw error instanceof AdapterError ? error : wrong(`cannot be read: ${messageOf(error)}`);
  }
}
