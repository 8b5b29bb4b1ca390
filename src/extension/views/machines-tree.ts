/** The Ringside container's tree: machines, how they are, and where their hidden page faults come from. */
import * as vscode from 'vscode';
import type { MachineSession } from '../machine/session';
import type { MachineSessions } from '../machine/sessions';
import { hex } from '../machine/model';

type Node =
  | { readonly kind: 'machine'; readonly machine: MachineSession }
  | { readonly kind: 'fact'; readonly label: string; readonly value: string; readonly tooltip?: string; readonly command?: vscode.Command }
  | { readonly kind: 'faults'; readonly machine: MachineSession };

const stateIcons: Readonly<Record<MachineSession['runState'], string>> = { created: 'loading~spin', running: 'debug-start', paused: 'debug-pause', ended: 'debug-stop' };
const mostSites = 50;
/** The tree need not follow every sample. */
const refreshMilliseconds = 500;

export class MachinesTree implements vscode.TreeDataProvider<Node>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<undefined>();
  readonly onDidChangeTreeData = this.changed.event;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly subscriptions: vscode.Disposable;

  constructor(private readonly sessions: MachineSessions) {
    this.subscriptions = vscode.Disposable.from(
      this.changed,
      sessions.onDidStart(() => this.later()),
      sessions.onDidChange(() => this.later()),
      sessions.onDidChangeCurrent(() => this.later()),
    );
  }

  private later(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.changed.fire(undefined);
    }, refreshMilliseconds);
  }

  getTreeItem(node: Node): vscode.TreeItem {
    switch (node.kind) {
      case 'machine': {
        const { machine } = node;
        const item = new vscode.TreeItem(machine.program, vscode.TreeItemCollapsibleState.Expanded);
        item.id = machine.debugSession.id;
        item.description = machine.model().status;
        item.iconPath = new vscode.ThemeIcon(stateIcons[machine.runState]);
        item.contextValue = `machine.${machine.runState}`;
        return item;
      }
      case 'faults': {
        const item = new vscode.TreeItem('Hidden page faults by instruction', vscode.TreeItemCollapsibleState.Collapsed);
        item.id = `${node.machine.debugSession.id}/faults`;
        item.tooltip = 'Guest instructions whose memory accesses the monitor had to resolve, most first.';
        return item;
      }
      case 'fact': {
        const item = new vscode.TreeItem(node.label);
        item.description = node.value;
        item.tooltip = node.tooltip;
        item.command = node.command;
        return item;
      }
    }
  }

  async getChildren(node?: Node): Promise<Node[]> {
    if (!node) return this.sessions.all.map((machine) => ({ kind: 'machine', machine }));
    if (node.kind === 'machine') return facts(node.machine);
    return node.kind === 'faults' ? sites(node.machine) : [];
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.subscriptions.dispose();
  }
}

function facts(machine: MachineSession): Node[] {
  const model = machine.model();
  const list: Node[] = [];
  const fact = (label: string, value: string | undefined, tooltip?: string) => {
    if (value) list.push({ kind: 'fact', label, value, tooltip });
  };
  fact('Mode', model.mode);
  fact('At', model.location && `${model.location.address}  ${model.location.instruction}`);
  fact('Jump', model.forecast);
  for (const definition of machine.definitions) {
    const value = machine.sample?.values[definition.id];
    if (value) fact(definition.title, value.toLocaleString('en'), definition.definition);
  }
  list.push({ kind: 'faults', machine });
  return list;
}

async function sites(machine: MachineSession): Promise<Node[]> {
  try {
    const { sites: found } = await machine.request('ringside/hiddenPageFaults', { most: mostSites });
    return found.map(({ linear, count, symbol, path, line }): Node => ({
      kind: 'fact', label: symbol ? `${symbol} (${hex(linear)})` : hex(linear), value: count.toLocaleString('en'),
      ...(path !== undefined && line !== undefined ? { command: { command: 'ringside.openSource', title: 'Open Source', arguments: [path, line] } } : {}),
    }));
  } catch {
    return [{ kind: 'fact', label: 'The session has ended.', value: '' }];
  }
}
