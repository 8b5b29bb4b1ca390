/** Runs the debug adapter inline: the same code that tests run over a stream, with VS Code's files and this host's workers. */
import * as vscode from 'vscode';
import { RingsideDebugSession } from '../../adapter/session';
import type { MachineClient } from '../../protocol/client';
import { savedFiles } from '../files';
import type { ExtensionHost } from '../host';
import { countersHz, screenHz } from '../machine/session';

export class AdapterFactory implements vscode.DebugAdapterDescriptorFactory {
  /** Clients of the machines, by debug session: for tests and for other parts that look at a machine directly. */
  readonly clients = new Map<string, MachineClient>();

  constructor(private readonly host: ExtensionHost) {}

  async createDebugAdapterDescriptor(session: vscode.DebugSession): Promise<vscode.DebugAdapterDescriptor> {
    const launchMachine = await this.host.prepareLauncher();
    const { nasm } = this.host;
    return new vscode.DebugAdapterInlineImplementation(new RingsideDebugSession({
      files: savedFiles,
      launchMachine,
      // A workspace that is not trusted names no program to run.
      ...(nasm && vscode.workspace.isTrusted ? { nasm: (program: string) => nasm(program) } : {}),
      onMachine: (client) => {
        this.clients.set(session.id, client);
        // Before its first instruction: a guest may be at its end sooner than a request comes here through the window.
        client.request('subscribe', { countersHz, screenHz }).catch(() => undefined);
        client.onClose(() => this.clients.delete(session.id));
      },
    }));
  }
}
