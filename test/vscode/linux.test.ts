/** Debian's Linux kernel in VS Code: F5 on a bzImage with an initial ramdisk gives a shell in the terminal; a pause shows its functions and page tables. */
import * as vscode from 'vscode';
import { eventually, match, ok } from './check';
import { hook } from './hook';
import { api, closeEditors, endAll, folder, picture } from './session';

const BOOT_MILLISECONDS = 180_000, ANSWER_MILLISECONDS = 30_000;
const LIMIT_MILLISECONDS = 300_000;

describe('Linux', () => {
  before(async () => { await api(); });
  afterEach(endAll);
  after(closeEditors);

  it('has a shell in the terminal, a call stack with kernel symbols, page tables, and goes on', async function () {
    this.timeout(LIMIT_MILLISECONDS);
    for (const name of ['vmlinuz-686', 'initramfs-i386']) {
      try {
        await vscode.workspace.fs.stat(vscode.Uri.joinPath(folder(), 'guests', name));
      } catch {
        await hook.print(`    guests/${name} is not in the workspace: its Debian package could not be fetched (tools/guests.mjs says why)`);
        return this.skip();
      }
    }
    const ringside = await api();
    await closeEditors();
    ok(await vscode.debug.startDebugging(vscode.workspace.workspaceFolders![0], {
      type: 'ringside', request: 'launch', name: 'Linux', program: '${workspaceFolder}/guests/vmlinuz-686', initrd: '${workspaceFolder}/guests/initramfs-i386',
      kernelCommandLine: 'console=ttyS0 cryptomgr.notests', memory: 128, instructionsPerSecond: 400_000_000,
    }), 'the launch configuration starts');
    await eventually('a shell', () => /ringside-guest-ready[^]*guest# /.test(ringside.serialText()), BOOT_MILLISECONDS);
    await ringside.typeSerial('uname -sr; cat /proc/meminfo | head -2\n');
    await eventually('its answer', () => /Linux 6\.1[^]*MemFree[^]*guest# /.test(ringside.serialText()), ANSWER_MILLISECONDS);

    await vscode.commands.executeCommand('ringside.showMachine');
    await vscode.commands.executeCommand('ringside.pause');
    await eventually('the machine stands still', () => ringside.machineModel().state === 'paused');
    const { stackFrames } = await vscode.debug.activeDebugSession!.customRequest('stackTrace', { threadId: 1, startFrame: 0, levels: 20 }) as { stackFrames: { name: string }[] };
    match(stackFrames[0]?.name, /^\w+(\+0x[0-9a-f]+)? \(0060:/, 'the paused kernel\'s function');
    match(stackFrames.map(({ name }) => name).join('\n'), /idle|start_kernel|entry_|do_syscall/);
    await vscode.commands.executeCommand('ringside.showPageTables', 'start_kernel');
    const pages = vscode.window.activeTextEditor?.document.getText();
    match(pages, /^c[0-9a-f]{7} \(start_kernel\): 32-bit paging, CR3 [0-9a-f]{8}\n {2}PDE/);
    match(pages, /\nc0[0-9a-f]{6}–[0-9a-f]{8} .*supervisor, read and write/);
    await vscode.commands.executeCommand('workbench.view.debug');
    await picture('linux');

    await vscode.commands.executeCommand('ringside.continue');
    await eventually('the machine runs', () => ringside.machineModel().state === 'running');
    await ringside.typeSerial('echo $((6*7)) and on\n');
    await eventually('the shell goes on', () => ringside.serialText().includes('42 and on'), ANSWER_MILLISECONDS);

    // The kernel at work on random numbers: its hottest loop.
    await ringside.typeSerial('dd if=/dev/urandom of=/dev/null bs=64k &\n');
    await hook.resize(1760, 1160);
    await vscode.commands.executeCommand('workbench.action.closeAllEditors');
    await vscode.commands.executeCommand('ringside.showTranslation');
    const loop = await eventually('a hot loop of the kernel', () => {
      const now = ringside.translation();
      return now.model.state === 'region' && now.model.blocks.some((block) => block.loop) && /^\w/.test(now.model.title) && !/^[0-9a-f]{8}/.test(now.model.title)
        && now.heat.executions.flat().some((count) => (count ?? 0) > 100_000) ? now : undefined;
    }, ANSWER_MILLISECONDS);
    match(loop.model.summary, /Region \d+: .* of 32-bit code in one WebAssembly function/);
    match(loop.heat.counting, /exact counts/);
    ok(loop.heat.hot.length > 0, 'hot code is listed');
    await vscode.commands.executeCommand('workbench.action.closeSidebar');
    await new Promise((resolve) => setTimeout(resolve, 2000)); // the terminal stops telling its size
    await picture('linux-translation');
    await vscode.commands.executeCommand('workbench.view.debug');
    await hook.resize(1400, 900);
    await ringside.typeSerial('kill %1\n');
    await ringside.typeSerial('poweroff -f\n');
    await eventually('the session ends with the power', () => vscode.debug.activeDebugSession === undefined, ANSWER_MILLISECONDS);
  });
});
