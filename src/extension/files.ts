/** Paths of launch configurations and sources ↔ URIs, and the files that the adapter and the assembler read through VS Code. */
import * as vscode from 'vscode';
import type { FileAccess } from '../adapter/services';

/** A file on a disk by its path, everything else (virtual workspaces, remotes seen from a browser) by its URI. */
export function pathOf(uri: vscode.Uri): string {
  return uri.scheme === 'file' ? uri.fsPath : uri.toString();
}

/** Windows drive letters look like a scheme of one letter. */
const schemePattern = /^[a-z][a-z0-9+.-]+:/i;

export function uriOf(path: string): vscode.Uri {
  return schemePattern.test(path) ? vscode.Uri.parse(path) : vscode.Uri.file(path);
}

/** Whether a launch configuration's path stands for itself or is meant relative to the workspace folder. */
export function isAbsolute(path: string): boolean {
  return schemePattern.test(path) || /^([/\\]|[a-z]:[/\\])/i.test(path);
}

async function exists(uri: vscode.Uri): Promise<boolean> {
  return vscode.workspace.fs.stat(uri).then(() => true, () => false);
}

/** Half a file does not stay. */
async function writeNew(uri: vscode.Uri, bytes: Uint8Array): Promise<void> {
  try {
    await vscode.workspace.fs.writeFile(uri, bytes);
  } catch (error) {
    await vscode.workspace.fs.delete(uri).then(undefined, () => undefined);
    throw error;
  }
}

export const savedFiles: FileAccess = {
  readFile: async (path) => vscode.workspace.fs.readFile(uriOf(path)),
  replaceFile: async (path, bytes) => {
    const target = uriOf(path);
    if (!await exists(target)) return writeNew(target, bytes);
    // A complete copy stands beside the file while it is written: an interruption leaves one of the two whole. Renaming would not keep links, and VS Code removes the target first.
    let beside = target.with({ path: `${target.path}.new` });
    for (let n = 2; await exists(beside); n++) beside = target.with({ path: `${target.path}.new${n}` });
    await writeNew(beside, bytes);
    try {
      await vscode.workspace.fs.writeFile(target, bytes);
    } catch (error) {
      throw new Error(`${error instanceof Error ? error.message : String(error)}. What the guest changed is in ${pathOf(beside)}`, { cause: error });
    }
    await vscode.workspace.fs.delete(beside);
  },
  readFolder: async (path) => {
    const folder = uriOf(path);
    const entries = (await vscode.workspace.fs.readDirectory(folder)).filter(([, type]) => type === vscode.FileType.File || type === vscode.FileType.Directory);
    return Promise.all(entries.map(async ([name, type]) => {
      const { size, mtime } = await vscode.workspace.fs.stat(vscode.Uri.joinPath(folder, name));
      const isFolder = type === vscode.FileType.Directory;
      return { name, folder: isFolder, bytes: isFolder ? 0 : size, modified: Math.floor(mtime / 1000) };
    }));
  },
};

/** Open documents as they are in the editor, saved or not; other files from where they are stored. */
export const editedFiles: FileAccess = {
  readFile: async (path) => {
    const uri = uriOf(path).toString();
    const open = vscode.workspace.textDocuments.find((document) => document.uri.toString() === uri);
    return open ? new TextEncoder().encode(open.getText()) : savedFiles.readFile(path);
  },
};
