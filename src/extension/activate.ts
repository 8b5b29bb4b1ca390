/** Puts the extension together. node.ts and browser.ts call it with what differs between the hosts. */
import * as vscode from 'vscode';
import { debugType } from '../protocol/dap';
import type { RingsideApi } from './api';
import { registerCommands } from './commands';
import { AdapterFactory } from './debug/adapter-factory';
import { registerConfigurations } from './debug/configuration';
import { RegisterInlineValues } from './debug/inline-values';
import type { ExtensionHost } from './host';
import { Assemblies } from './language/assembly';
import { assemblyLanguage, registerLanguage } from './language/register';
import { SerialTerminals } from './machine/serial-terminal';
import { MachineSessions } from './machine/sessions';
import { DevicesTree } from './views/devices-tree';
import { MachinePanel, machineViewType } from './views/machine-panel';
import { MachinesTree } from './views/machines-tree';
import { memoryDocuments, pageTableDocuments } from './views/memory-documents';
import { ScreenPanel, screenViewType } from './views/screen-panel';
import { TranslationPanel, translationViewType } from './views/translation-panel';

/** VS Code drops panels of a window that is reloaded unless somebody takes them over. */
function restorePanels(machinePanel: MachinePanel, screenPanel: ScreenPanel, translationPanel: TranslationPanel): vscode.Disposable {
  const into = (panel: { restore(panel: vscode.WebviewPanel): void }): vscode.WebviewPanelSerializer => ({
    deserializeWebviewPanel: (restored) => {
      panel.restore(restored);
      return Promise.resolve();
    },
  });
  return vscode.Disposable.from(
    vscode.window.registerWebviewPanelSerializer(machineViewType, into(machinePanel)),
    vscode.window.registerWebviewPanelSerializer(screenViewType, into(screenPanel)),
    vscode.window.registerWebviewPanelSerializer(translationViewType, into(translationPanel)),
  );
}

/** Tells `when` clauses how the current machine is. */
function followState(sessions: MachineSessions): vscode.Disposable {
  const update = () => void vscode.commands.executeCommand('setContext', 'ringside.machineState', sessions.current?.runState);
  return vscode.Disposable.from(sessions.onDidChange(update), sessions.onDidChangeCurrent(update));
}

export function activateRingside(context: vscode.ExtensionContext, host: ExtensionHost): RingsideApi {
  const sessions = new MachineSessions();
  const factory = new AdapterFactory(host);
  const machinePanel = new MachinePanel(context.extensionUri, sessions);
  const screenPanel = new ScreenPanel(context.extensionUri, sessions);
  const translationPanel = new TranslationPanel(context.extensionUri, sessions);
  const serialTerminals = new SerialTerminals(sessions);
  const inlineValues = new RegisterInlineValues(sessions);
  const memory = memoryDocuments(sessions);
  const pageTables = pageTableDocuments(sessions);
  const tree = new MachinesTree(sessions);
  const devicesTree = new DevicesTree(sessions);
  const assemblies = new Assemblies(host);

  context.subscriptions.push(
    machinePanel, screenPanel, translationPanel, serialTerminals, inlineValues, memory, pageTables, tree, devicesTree, assemblies, sessions,
    vscode.debug.registerDebugAdapterDescriptorFactory(debugType, factory),
    registerConfigurations(),
    registerLanguage(assemblies, sessions),
    vscode.languages.registerInlineValuesProvider(assemblyLanguage, inlineValues),
    vscode.window.registerTreeDataProvider('ringside.machines', tree),
    vscode.window.registerTreeDataProvider('ringside.devices', devicesTree),
    registerCommands({ sessions, machinePanel, screenPanel, translationPanel, serialTerminals, memoryDocuments: memory, pageTableDocuments: pageTables, extensionId: context.extension.id }),
    restorePanels(machinePanel, screenPanel, translationPanel),
    followState(sessions),
  );

  return {
    machineModel: () => machinePanel.model,
    counters: () => sessions.current?.sample?.values,
    machineViewText: () => machinePanel.snapshot(),
    screenViewText: () => screenPanel.snapshot(),
    translation: () => ({ model: translationPanel.model, heat: translationPanel.heat }),
    translationViewText: () => translationPanel.snapshot(),
    screen: () => sessions.current?.screen,
    serialText: (port) => serialTerminals.ofPort(port ?? 0)?.transcript ?? '',
    inlineValues: () => inlineValues.last,
    typeSerial: async (text, port) => {
      await sessions.current?.typeSerial(text, port);
    },
    client: () => sessions.current && factory.clients.get(sessions.current.debugSession.id),
  };
}
