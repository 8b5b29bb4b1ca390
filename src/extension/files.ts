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

export const savedFiles: FileAccess = {
  readFile: async (path) => vscode.workspace.fs.readFile(uriOf(path)),
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
