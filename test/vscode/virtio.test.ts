/** Virtio in VS Code, with Debian's drivers: a console in a terminal of its own, and a folder of the workspace that the guest mounts. */
import * as vscode from 'vscode';
import { equal, eventually, match, ok } from './check';
import { hook } from './hook';
import { api, closeEditors, endAll, folder, picture } from './session';

const BOOT_MILLISECONDS = 180_000, ANSWER_MILLISECONDS = 60_000;
const LIMIT_MILLISECONDS = 300_000;
/** The virtio console among the serial ports. */
const CONSOLE = 4;

describe('virtio', () => {
  before(async () => { await api(); });
  afterEach(endAll);
  after(closeEditors);

  it('has a console in a terminal of its own, and shares a folder of the workspace', async function () {
    this.timeout(LIMIT_MILLISECONDS);
    for (const name of ['vmlinuz-686', 'initramfs-virtio']) {
      try {
        await vscode.workspace.fs.stat(vscode.Uri.joinPath(folder(), 'guests', name));
      } catch {
        await hook.print(`    guests/${name} is not in the workspace: its Debian package could not be fetched (tools/guests.mjs says why)`);
        return this.skip();
      }
    }
    const shared = (name: string): vscode.Uri => vscode.Uri.joinPath(folder(), 'shared', name);
    await vscode.workspace.fs.writeFile(shared('notes/hello.txt'), new TextEncoder().encode('from the workspace\n'));
    const ringside = await api();
    await closeEditors();
    ok(await vscode.debug.startDebugging(vscode.workspace.workspaceFolders![0], {
      type: 'ringside', request: 'launch', name: 'Linux with virtio', program: '${workspaceFolder}/guests/vmlinuz-686', initrd: '${workspaceFolder}/guests/initramfs-virtio',
      kernelCommandLine: 'console=ttyS0 cryptomgr.notests', memory: 128, instructionsPerSecond: 400_000_000, virtioConsole: true, sharedFolder: '${workspaceFolder}/shared',
    }), 'the launch configuration starts');
    await eventually('a shell', () => /ringside-guest-ready[^]*guest# /.test(ringside.serialText()), BOOT_MILLISECONDS);
    const answer = async (command: string): Promise<string> => {
      const from = ringside.serialText().length;
      await ringside.typeSerial(`${command}; echo "<$?>"\n`);
      // The terminal's answer to the shell's question where its cursor is may be echoed before it.
      await eventually(`the answer to ${command}`, () => /[\nR]<\d+>/.test(ringside.serialText().slice(from)), ANSWER_MILLISECONDS);
      return ringside.serialText().slice(from);
    };
    match(await answer('dmesg -n 1; /drivers'), /[\nR]<0>/);

    // The folder, in both ways; what the guest writes stays in its snapshot.
    match(await answer('mount -t 9p -o trans=virtio,version=9p2000.L share /mnt && cat /mnt/notes/hello.txt'), /[\nR]from the workspace[^]*<0>/);
    match(await answer('echo from the guest > /mnt/notes/hello.txt && cat /mnt/notes/hello.txt'), /[\nR]from the guest[^]*<0>/);
    equal(new TextDecoder().decode(await vscode.workspace.fs.readFile(shared('notes/hello.txt'))), 'from the workspace\n');

    // The console: its terminal opens with the first output; a shell on it hears what is typed there.
    equal(vscode.window.terminals.some(({ name }) => name.startsWith('Virtio console')), false, 'no terminal before its output');
    await answer('(setsid sh -c "echo console of the guest; exec sh" <> /dev/hvc0 >&0 2>&1) & true');
    await eventually('the console\'s output', () => ringside.serialText(CONSOLE).includes('console of the guest'), ANSWER_MILLISECONDS);
    await eventually('its terminal', () => vscode.window.terminals.some(({ name }) => name === 'Virtio console: Linux with virtio'));
    vscode.window.terminals.find(({ name }) => name.startsWith('Virtio console'))!.sendText('echo $((6*7)) typed there; ls /mnt/notes');
    await eventually('what was typed into the terminal is carried out', () => /42 typed there\r?\nhello\.txt/.test(ringside.serialText(CONSOLE)), ANSWER_MILLISECONDS);
    equal(/42 typed there/.test(ringside.serialText()), false, 'and not on the serial line');
    vscode.window.terminals.find(({ name }) => name.startsWith('Virtio console'))!.show(true);
    await picture('virtio');
    await ringside.typeSerial('poweroff -f\n');
    await eventually('the session ends with the power', () => vscode.debug.activeDebugSession === undefined, ANSWER_MILLISECONDS);
  });
});
