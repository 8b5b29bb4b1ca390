/** Implements every command of manifest/commands.ts. */
import * as vscode from 'vscode';
import { assembleBuiltin } from '../adapter/builtin-assembler';
import type { DiskJson } from '../protocol/dap';
import { scancodesForText } from '../protocol/keys';
import type { WritableDrive } from '../protocol/messages';
import { launchFile } from './debug/configuration';
import { editedFiles, pathOf, uriOf } from './files';
import type { SerialTerminals } from './machine/serial-terminal';
import type { MachineSession } from './machine/session';
import type { MachineSessions } from './machine/sessions';
import { commandRows, type CommandId } from './manifest/commands';
import { countersMarkdown, registersText } from './views/documents';
import type { MachinePanel } from './views/machine-panel';
import type { ScreenPanel } from './views/screen-panel';
import type { TranslationPanel } from './views/translation-panel';
import type { StopDocuments } from './views/stop-documents';

export interface CommandContext {
  readonly sessions: MachineSessions;
  readonly machinePanel: MachinePanel;
  readonly screenPanel: ScreenPanel;
  readonly translationPanel: TranslationPanel;
  readonly serialTerminals: SerialTerminals;
  readonly memoryDocuments: StopDocuments;
  readonly pageTableDocuments: StopDocuments;
  readonly extensionId: string;
}

/** Ctrl, Alt and Delete down, then up in the other order. */
const ctrlAltDel = [0x1d, 0x38, 0xe0, 0x53, 0xe0, 0xd3, 0xb8, 0x9d];

const newProgramText = `; A boot sector: the BIOS loads these 512 bytes at 0x7C00 and jumps to the first one. Press F5.
bits 16
org 0x7c00

start:
  xor ax, ax
  mov ds, ax
  mov ss, ax
  mov sp, 0x7c00
  cld
  mov si, message
.next:
  lodsb                   ; the next character, 0 at the end
  test al, al
  jz .done
  mov ah, 0x0e            ; BIOS: write a character on the screen
  mov bx, 7
  int 0x10
  jmp .next
.done:
  cli
  hlt

message: db 'Hello from ring 0', 13, 10, 0

times 510-($-$$) db 0
dw 0xaa55
`;

type Handler = (...args: never[]) => unknown;

export function registerCommands(context: CommandContext): vscode.Disposable {
  const { sessions, machinePanel, screenPanel, serialTerminals } = context;
  const machine = (): MachineSession => {
    if (!sessions.current) throw new Error('No machine has been started. Press F5 on an .asm file, a kernel or a disk image.');
    return sessions.current;
  };
  const liveMachine = (): MachineSession => {
    const current = machine();
    if (!current.live) throw new Error(`${current.program} has ended. Start it again with F5.`);
    return current;
  };
  const request = (name: string, more: object = {}) => liveMachine().debugSession.customRequest(name, { threadId: 1, ...more });
  const toggle = async (setting: string, on: unknown, off: unknown) => {
    const configuration = vscode.workspace.getConfiguration('ringside');
    await configuration.update(setting, configuration.get(setting) === off ? on : off, vscode.ConfigurationTarget.Global);
  };

  const handlers: Readonly<Record<CommandId, Handler>> = {
    run: (uri?: vscode.Uri) => launchFile(uri, true),
    debug: (uri?: vscode.Uri) => launchFile(uri, false),
    continue: () => request('continue'),
    pause: () => request('pause'),
    stepInstruction: () => request('stepIn', { granularity: 'instruction' }),
    restart: async () => {
      const current = machine();
      if (current.live) await vscode.commands.executeCommand('workbench.action.debug.restart');
      else await vscode.debug.startDebugging(current.debugSession.workspaceFolder, current.debugSession.configuration);
    },
    terminate: () => vscode.debug.stopDebugging(liveMachine().debugSession),
    showMachine: () => machinePanel.open(false),
    showScreen: () => screenPanel.open(false),
    showTranslation: (given?: unknown) => context.translationPanel.open(false, typeof given === 'string' ? given : undefined),
    followTranslation: () => context.translationPanel.follow(),
    copyTranslation: async () => {
      if (!context.translationPanel.isOpen) throw new Error('the Translation view is not open. Open it with "Ringside: Show Translation".');
      await vscode.env.clipboard.writeText(context.translationPanel.text());
      void vscode.window.setStatusBarMessage('Ringside: the translation is in the clipboard.', 3000);
    },
    focusScreen: () => screenPanel.focus(),
    showSerial: () => serialTerminals.show(),
    typeText: async (given?: string) => {
      const current = liveMachine();
      const text = given ?? await vscode.window.showInputBox({ prompt: 'Text to type on the guest\'s keyboard (US layout); \\n is Enter', ignoreFocusOut: true });
      if (text === undefined) return;
      const { scancodes, untypable } = scancodesForText(text.replaceAll('\\n', '\n'));
      await current.sendKeys(scancodes);
      if (untypable) void vscode.window.showWarningMessage(`Ringside: a US keyboard has no key for ${untypable}; the rest was typed.`);
    },
    sendCtrlAltDel: () => liveMachine().sendKeys(ctrlAltDel),
    saveDisk: async (given?: { drive: WritableDrive; target: vscode.Uri }) => {
      const current = machine();
      const { disks } = await current.request('ringside/disks', {});
      const changed = disks.filter((disk) => disk.changed);
      if (changed.length === 0) throw new Error('the guest has not changed any disk.');
      const chosen = changed.find(({ drive }) => drive === given?.drive) ?? await chooseDisk(changed);
      const target = given?.target ?? (chosen && await vscode.window.showSaveDialog({
        title: `Save ${chosen.attribute} with what the guest has changed`, defaultUri: uriOf(chosen.path.replace(/\.(?:qcow2|vmdk)$/i, '.vdi').replace(/(\.\w+)?$/, '-changed$1')),
        filters: { 'Raw image': ['img', 'raw'], 'VirtualBox image': ['vdi'] },
      }));
      if (!chosen || !target) return;
      await current.request('ringside/saveDisk', { drive: chosen.drive, path: pathOf(target) });
      void vscode.window.showInformationMessage(`Ringside: wrote ${pathOf(target)}.`);
    },
    copyRegisters: () => vscode.env.clipboard.writeText(registersText(machine().model())),
    showCounters: async () => {
      const content = countersMarkdown(machine());
      await vscode.window.showTextDocument(await vscode.workspace.openTextDocument({ language: 'markdown', content }), { viewColumn: vscode.ViewColumn.Beside });
    },
    showMemory: async (given?: string) => {
      liveMachine();
      const reference = given ?? await vscode.window.showInputBox({
        prompt: 'Address: lin:0x7c00, phys:0xb8000, a label or a register (linear unless it says phys:)', value: 'lin:0x7c00',
      });
      if (reference) await context.memoryDocuments.open(reference.trim());
    },
    showPageTables: async (given?: string) => {
      liveMachine();
      const expression = given ?? await vscode.window.showInputBox({ prompt: 'Address whose page-table entries to show: a number, a label or a register', value: 'eip' });
      if (expression) await context.pageTableDocuments.open(expression.trim());
    },
    showDisassembly: () => vscode.commands.executeCommand('debug.action.openDisassemblyView'),
    assemble: () => assembleActive(),
    newProgram: async () => {
      const document = await vscode.workspace.openTextDocument({ language: 'x86asm', content: newProgramText });
      return vscode.window.showTextDocument(document);
    },
    toggleInlineValues: () => toggle('inlineValues.enabled', true, false),
    toggleInlayHints: () => toggle('inlayHints', 'addressesAndBytes', 'off'),
    openWalkthrough: () => vscode.commands.executeCommand('workbench.action.openWalkthrough', `${context.extensionId}#start`, false),
    openSource: async (path: string, line: number) => {
      const selection = new vscode.Range(line - 1, 0, line - 1, 0);
      await vscode.window.showTextDocument(uriOf(path), { selection });
    },
  };

  return vscode.Disposable.from(...commandRows.map(({ id, title }) =>
    vscode.commands.registerCommand(`ringside.${id}`, async (...args: never[]) => {
      try {
        return await handlers[id](...args);
      } catch (error) {
        void vscode.window.showErrorMessage(`Ringside: ${title}: ${error instanceof Error ? error.message : String(error)}`);
        return undefined;
      }
    })));
}

/** Undefined when the person chooses none. */
async function chooseDisk(disks: readonly DiskJson[]): Promise<DiskJson | undefined> {
  if (disks.length === 1) return disks[0];
  const items = disks.map((disk) => ({ label: disk.attribute, description: disk.path, disk }));
  return (await vscode.window.showQuickPick(items, { placeHolder: 'The disk to save' }))?.disk;
}

/** Writes the image beside the source, with the extension .bin. */
async function assembleActive(): Promise<vscode.Uri | undefined> {
  const document = vscode.window.activeTextEditor?.document;
  if (document?.languageId !== 'x86asm' || document.isUntitled) throw new Error('open and save an assembly source first.');
  const assembly = await assembleBuiltin(pathOf(document.uri), editedFiles);
  const errors = assembly.diagnostics.filter((diagnostic) => diagnostic.severity === 'error');
  if (errors.length > 0) {
    await vscode.commands.executeCommand('workbench.actions.view.problems');
    throw new Error(`${errors[0].path}:${errors[0].line}: ${errors[0].message}`);
  }
  const target = document.uri.with({ path: document.uri.path.replace(/\.\w+$/, '') + '.bin' });
  await vscode.workspace.fs.writeFile(target, assembly.image);
  void vscode.window.showInformationMessage(`Ringside: wrote ${assembly.image.length} bytes to ${target.path.slice(target.path.lastIndexOf('/') + 1)}.`);
  return target;
}
