/** The debug side bar's "Devices": the board's devices, their registers and the bit fields of these, as they are while the machine stands still. */
import * as vscode from 'vscode';
import type { DeviceRegisterSnapshot, DeviceSnapshot } from '../../protocol/messages';
import type { MachineSession } from '../machine/session';
import type { MachineSessions } from '../machine/sessions';
import { addressText, fieldRows, valueText } from './device-texts';

type Node =
  | { readonly kind: 'device'; readonly device: DeviceSnapshot; readonly machine: MachineSession }
  | { readonly kind: 'register'; readonly id: string; readonly register: DeviceRegisterSnapshot; readonly previous: number | undefined }
  | { readonly kind: 'field'; readonly name: string; readonly value: string };

export class DevicesTree implements vscode.TreeDataProvider<Node>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<undefined>();
  readonly onDidChangeTreeData = this.changed.event;
  private readonly subscriptions: vscode.Disposable;
  /** What was shown at this stop and at the one before, to mark what changed. */
  private shown: { readonly machine: MachineSession; readonly at: unknown; readonly devices: readonly DeviceSnapshot[]; readonly values: ReadonlyMap<string, number> } | undefined;
  private previous: ReadonlyMap<string, number> = new Map();

  constructor(private readonly sessions: MachineSessions) {
    this.subscriptions = vscode.Disposable.from(
      this.changed,
      sessions.onDidChangeCurrent(() => this.changed.fire(undefined)),
      // The rows of the last stop stay while the guest runs: new ones would be old before they are read.
      sessions.onDidChange((machine) => {
        if (machine === sessions.current && machine.runState !== 'running' && this.shown?.at !== momentOf(machine)) this.changed.fire(undefined);
      }),
    );
  }

  getTreeItem(node: Node): vscode.TreeItem {
    switch (node.kind) {
      case 'device': {
        const { device, machine } = node;
        const item = new vscode.TreeItem(device.title, device.registers.length > 0 ? vscode.TreeItemCollapsibleState.Collapsed : vscode.TreeItemCollapsibleState.None);
        item.id = `${machine.debugSession.id}/${device.id}`;
        item.iconPath = new vscode.ThemeIcon('circuit-board');
        return item;
      }
      case 'register': {
        const { register, previous } = node;
        const item = new vscode.TreeItem(register.name, register.fields.length > 0 && register.value !== undefined ? vscode.TreeItemCollapsibleState.Collapsed : vscode.TreeItemCollapsibleState.None);
        item.id = node.id;
        const changed = previous !== undefined && previous !== register.value;
        item.description = register.value === undefined ? register.description : `${valueText(register)}${changed ? `  was ${valueText({ ...register, value: previous })}` : ''}`;
        item.tooltip = `${addressText(register)}: ${register.description}`;
        item.accessibilityInformation = { label: `${register.name} ${item.description}, ${register.description}` };
        if (changed) item.iconPath = new vscode.ThemeIcon('circle-small-filled', new vscode.ThemeColor('charts.orange'));
        return item;
      }
      case 'field': {
        const item = new vscode.TreeItem(node.name);
        item.description = node.value;
        return item;
      }
    }
  }

  async getChildren(node?: Node): Promise<Node[]> {
    if (!node) return this.devices();
    if (node.kind === 'device') {
      const { device, machine } = node;
      return device.registers.map((register, n) => ({
        kind: 'register', register, id: `${machine.debugSession.id}/${device.id}/${n}`, previous: this.previous.get(`${device.id}/${n}`),
      }));
    }
    return node.kind === 'register' ? fieldRows(node.register).map((row) => ({ kind: 'field', ...row })) : [];
  }

  private async devices(): Promise<Node[]> {
    const machine = this.sessions.current;
    if (!machine) return [];
    const at = momentOf(machine);
    if (this.shown?.machine !== machine || this.shown.at !== at) {
      try {
        const { devices } = await machine.request('ringside/devices', {});
        this.previous = this.shown?.machine === machine ? this.shown.values : new Map();
        this.shown = { machine, at, devices, values: valuesOf(devices) };
      } catch {
        return []; // The session ended meanwhile.
      }
    }
    return this.shown.devices.map((device) => ({ kind: 'device', device, machine }));
  }

  dispose(): void {
    this.subscriptions.dispose();
  }
}

/** Differs from stop to stop, and is the same throughout one. */
function momentOf(machine: MachineSession): unknown {
  return machine.runState === 'ended' ? machine.runState : machine.stops[0]?.registers;
}

function valuesOf(devices: readonly DeviceSnapshot[]): Map<string, number> {
  const values = new Map<string, number>();
  for (const { id, registers } of devices) registers.forEach(({ value }, n) => value !== undefined && values.set(`${id}/${n}`, value));
  return values;
}
