/** The guest's first serial port (COM1) as a VS Code terminal. */
import * as vscode from 'vscode';
import { SerialText, typedText } from './serial-text';
import type { MachineSession } from './session';
import type { MachineSessions } from './sessions';

/** Output of before the terminal was opened, and for the tests, in characters. */
const transcriptCharacters = 64 * 1024;

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

  constructor(private readonly machine: MachineSession) {
    this.subscription = vscode.Disposable.from(
      machine.onDidTransmit(({ port, bytes }) => {
        if (port !== 0) return;
        this.serial.receive(bytes);
        const reveal = vscode.workspace.getConfiguration('ringside').get<string>('serial.reveal');
        if (!this.terminal && reveal === 'onOutput') this.show(true);
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
        this.machine.typeSerial(typedText(data)).then(undefined, (error: Error) => this.write(`\r\n[not sent: ${error.message}]\r\n`));
      },
    };
    return vscode.window.createTerminal({ name: `Serial: ${this.machine.program}`, pty, iconPath: new vscode.ThemeIcon('plug'), isTransient: true });
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

/** One terminal for each machine; those of ended machines go when the next one starts. */
export class SerialTerminals implements vscode.Disposable {
  private readonly terminals = new Map<MachineSession, SerialTerminal>();
  private readonly subscription: vscode.Disposable;

  constructor(private readonly sessions: MachineSessions) {
    this.subscription = sessions.onDidStart((machine) => {
      for (const [old, terminal] of this.terminals) {
        if (old.runState !== 'ended') continue;
        terminal.dispose();
        this.terminals.delete(old);
      }
      this.terminals.set(machine, new SerialTerminal(machine));
      if (vscode.workspace.getConfiguration('ringside').get<string>('serial.reveal') === 'onStart') this.show(true);
    });
  }

  get current(): SerialTerminal | undefined {
    return this.sessions.current && this.terminals.get(this.sessions.current);
  }

  show(preserveFocus = false): void {
    this.current?.show(preserveFocus);
  }

  dispose(): void {
    this.subscription.dispose();
    for (const terminal of this.terminals.values()) terminal.dispose();
  }
}
