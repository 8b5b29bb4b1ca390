/** Debug configurations: F5 without launch.json, the list of "Run and Debug", defaults from the settings, and the commands Run and Debug. */
import * as vscode from 'vscode';
import { debugType } from '../../protocol/dap';
import { isAbsolute, pathOf, uriOf } from '../files';

const sourceFiles = /\.(asm|nasm)$/i;
const startableFiles = /\.(asm|nasm|elf|img|ima|flp|vdi|qcow2|vmdk|iso|bin|exec|mb|kernel)$|\/(vmlinuz|bzImage)[^/]*$/i;
const linuxFiles = /\/(vmlinuz|bzImage)[^/]*$/i;
const linuxMemoryMiB = 256;
/** Attributes of launch.json that name files. */
const pathAttributes = ['program', 'initrd', 'symbols', 'fda', 'hda', 'hdaBacking', 'hdb', 'cdrom', 'sharedFolder'] as const;
const pathListAttributes = ['modules', 'virtioDisks'] as const;

function baseName(uri: vscode.Uri): string {
  return uri.path.slice(uri.path.lastIndexOf('/') + 1);
}

function launchOf(uri: vscode.Uri): vscode.DebugConfiguration {
  return { type: debugType, request: 'launch', name: baseName(uri), program: pathOf(uri), ...(linuxFiles.test(uri.path) && { memory: linuxMemoryMiB, kernelCommandLine: 'console=ttyS0' }) };
}

/** The file that the active tab shows, text or not. */
export function activeFile(): vscode.Uri | undefined {
  const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
  if (input instanceof vscode.TabInputText || input instanceof vscode.TabInputCustom) return input.uri;
  return vscode.window.activeTextEditor?.document.uri ?? vscode.window.visibleTextEditors.find((editor) => editor.document.languageId === 'x86asm')?.document.uri;
}

export class RingsideConfigurations implements vscode.DebugConfigurationProvider {
  provideDebugConfigurations(): vscode.DebugConfiguration[] {
    return [{ type: debugType, request: 'launch', name: 'Debug in the VMM', program: '${file}', stopOnEntry: true }];
  }

  async resolveDebugConfiguration(_folder: vscode.WorkspaceFolder | undefined, config: vscode.DebugConfiguration): Promise<vscode.DebugConfiguration | undefined> {
    // F5 without launch.json gives an empty configuration.
    if (!config.type && !config.request && !config.name) {
      const uri = activeFile();
      if (!uri || !startableFiles.test(uri.path)) {
        await vscode.window.showErrorMessage('Ringside: open an .asm file, a kernel or a disk image first; that is what F5 runs.');
        return undefined;
      }
      return launchOf(uri);
    }
    if (!config.program) {
      const uri = activeFile();
      if (uri && startableFiles.test(uri.path)) config.program = pathOf(uri);
    }
    return config;
  }

  /** After ${variables} were replaced: relative paths become absolute, `${file}` becomes a URI where files have no path, settings give defaults. */
  resolveDebugConfigurationWithSubstitutedVariables(folder: vscode.WorkspaceFolder | undefined, config: vscode.DebugConfiguration): vscode.DebugConfiguration {
    const base = folder ?? vscode.workspace.workspaceFolders?.[0];
    const absolute = (path: string): string => {
      if (!isAbsolute(path)) return base ? pathOf(vscode.Uri.joinPath(base.uri, path)) : path;
      // In a virtual workspace ${file} is substituted by the path alone.
      if (base && base.uri.scheme !== 'file' && path.startsWith('/')) return base.uri.with({ path }).toString();
      return path;
    };
    for (const name of pathAttributes) if (typeof config[name] === 'string' && config[name]) config[name] = absolute(config[name] as string);
    for (const name of pathListAttributes) {
      const list: unknown = config[name];
      if (Array.isArray(list)) config[name] = list.map((path: unknown) => (typeof path === 'string' ? absolute(path) : path));
    }
    const scope = typeof config.program === 'string' ? uriOf(config.program) : undefined;
    const settings = vscode.workspace.getConfiguration('ringside', scope);
    config.assembler ??= settings.get('assembler');
    config.nasm ??= settings.get('nasmPath');
    config.memory ??= settings.get('memory');
    // The console is for the debug port and for expressions; opened by itself it would take the room of the views. A person's own setting counts more.
    const console = vscode.workspace.getConfiguration('debug').inspect('internalConsoleOptions');
    if (console?.globalValue === undefined && console?.workspaceValue === undefined) config.internalConsoleOptions ??= 'neverOpen';
    return config;
  }
}

/** Offers every startable file of the workspace in the "Run and Debug" list. */
const dynamicConfigurations: vscode.DebugConfigurationProvider = {
  provideDebugConfigurations: async (folder) => {
    const pattern = '**/*.{asm,nasm,img,vdi,qcow2,vmdk,iso,elf}';
    const files = await vscode.workspace.findFiles(folder ? new vscode.RelativePattern(folder, pattern) : pattern, '**/node_modules/**', 50);
    return files.map(launchOf).sort((a, b) => a.name.localeCompare(b.name));
  },
};

/** Starts a file; `noDebug` runs it without breakpoints. */
export async function launchFile(uri: vscode.Uri | undefined, noDebug: boolean): Promise<boolean> {
  const file = uri ?? activeFile();
  if (!file) {
    await vscode.window.showErrorMessage('Ringside: open an .asm file, a kernel or a disk image, or choose one in the Explorer.');
    return false;
  }
  if (sourceFiles.test(file.path)) {
    const dirty = vscode.workspace.textDocuments.find((document) => document.uri.toString() === file.toString() && document.isDirty);
    if (dirty) await dirty.save();
  }
  return vscode.debug.startDebugging(vscode.workspace.getWorkspaceFolder(file), launchOf(file), { noDebug });
}

export function registerConfigurations(): vscode.Disposable {
  return vscode.Disposable.from(
    vscode.debug.registerDebugConfigurationProvider(debugType, new RingsideConfigurations()),
    vscode.debug.registerDebugConfigurationProvider(debugType, dynamicConfigurations, vscode.DebugConfigurationProviderTriggerKind.Dynamic),
  );
}
