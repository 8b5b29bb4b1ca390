/** The guest's serial ports and its virtio console as VS Code terminals: COM1 always has one, the others when the guest writes to them. */
import * as vscode from 'vscode';
import { SerialText, typedText } from './serial-text';
import type { MachineSession } from './session';
import type { MachineSessions } from './sessions';

/** Output of before the terminal was opened, and for the tests, in characters. */
const transcriptCharacters = 64 * 1024;

/** The virtio console counts behind the serial ports. */
function portName(port: number): string {
  return port === 0 ? 'Serial' : port < 4 ? `Serial COM${port + 1}` : 'Virtio console';
}

export class SerialTerminal implements vscode.Disposable {
  private terminal: vscode.Terminal | undefined;
  private readonly writer = new vscode.EventEmitter<string>();
  private readonly closer = new vscode.EventEmitter<number | void>();
  private isOpen = false;
  private unwritten = '';
  /** The last output, as it was written to the terminal. */
  transcript = '';
  private readonly serial = new SerialText({ write: (text) => this.write(text), schedule: (callback, milliseconds) => setTimeout(callback, milliseconds) });
  private readonly subscription: vscode.Disposable;

  constructor(private readonly machine: MachineSession, private readonly port: number) {
    this.subscription = vscode.Disposable.from(
      machine.onDidTransmit(({ port: from, bytes }) => {
        if (from === port) this.receive(bytes);
      }),
      machine.onDidChange(() => {
        if (machine.runState === 'ended' && this.terminal) {
          this.serial.flush();
          this.write(`\r\n\x1b[2m[${machine.program}: ${machine.model().status}]\x1b[0m\r\n`);
          this.subscription.dispose();
        }
      }),
    );
  }

  /** Output; the first of it may open the terminal. */
  receive(bytes: Uint8Array): void {
    this.serial.receive(bytes);
    const reveal = vscode.workspace.getConfiguration('ringside').get<string>('serial.reveal');
    if (!this.terminal && reveal === 'onOutput') this.show(true);
  }

  show(preserveFocus: boolean): void {
    this.terminal ??= this.open();
    this.terminal.show(preserveFocus);
  }

  private open(): vscode.Terminal {
    const pty: vscode.Pseudoterminal = {
      onDidWrite: this.writer.event,
      onDidClose: this.closer.event,
      open: () => {
        this.isOpen = true;
        const text = this.unwritten;
        this.unwritten = '';
        if (text) this.writer.fire(text);
      },
      close: () => {
        this.isOpen = false;
        this.terminal = undefined;
        this.unwritten = this.transcript;
      },
      handleInput: (data) => {
        if (!this.machine.live) return;
        this.machine.typeSerial(typedText(data), this.port).then(undefined, (error: Error) => this.write(`\r\n[not sent: ${error.message}]\r\n`));
      },
    };
    return vscode.window.createTerminal({ name: `${portName(this.port)}: ${this.machine.program}`, pty, iconPath: new vscode.ThemeIcon('plug'), isTransient: true });
  }

  private write(text: string): void {
    this.transcript = (this.transcript + text).slice(-transcriptCharacters);
    if (this.isOpen) this.writer.fire(text);
    else this.unwritten = (this.unwritten + text).slice(-transcriptCharacters);
  }

  /** Closes the terminal, too. */
  dispose(): void {
    this.subscription.dispose();
    this.terminal?.dispose();
    this.writer.dispose();
    this.closer.dispose();
  }
}

/** Terminals of each machine by port; those of ended machines go when the next one starts. */
export class SerialTerminals implements vscode.Disposable {
  private readonly terminals = new Map<MachineSession, Map<number, SerialTerminal>>();
  private readonly subscription: vscode.Disposable;

  constructor(private readonly sessions: MachineSessions) {
    this.subscription = sessions.onDidStart((machine) => {
      for (const [old, ports] of this.terminals) {
        if (old.runState !== 'ended') continue;
        for (const terminal of ports.values()) terminal.dispose();
        this.terminals.delete(old);
      }
      const ports = new Map([[0, new SerialTerminal(machine, 0)]]);
      this.terminals.set(machine, ports);
      // The subscription goes with the machine's emitter.
      machine.onDidTransmit(({ port, bytes }) => {
        if (ports.has(port) || this.terminals.get(machine) !== ports) return;
        const terminal = new SerialTerminal(machine, port);
        ports.set(port, terminal);
        terminal.receive(bytes);
      });
      if (vscode.workspace.getConfiguration('ringside').get<string>('serial.reveal') === 'onStart') this.show(true);
    });
  }

  /** The current machine's. */
  ofPort(port: number): SerialTerminal | undefined {
    return this.sessions.current && this.terminals.get(this.sessions.current)?.get(port);
  }

  show(preserveFocus = false): void {
    this.ofPort(0)?.show(preserveFocus);
  }

  dispose(): void {
    this.subscription.dispose();
    for (const ports of this.terminals.values()) for (const terminal of ports.values()) terminal.dispose();
  }
}
