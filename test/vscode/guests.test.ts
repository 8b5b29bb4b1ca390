/** A guest that nobody here wrote, in VS Code: the game Invaders, started by a launch configuration and played on the screen with the keyboard. */
import * as vscode from 'vscode';
import { linesOf } from '../../src/protocol/codepage437';
import { equal, eventually, ok } from './check';
import { hook } from './hook';
import { api, closeEditors, endAll, folder, picture } from './session';

/** The game's slowest answer to a key on a busy machine. */
const PLAY_MILLISECONDS = 20_000;

describe('real guests', () => {
  before(async () => { await api(); });
  afterEach(endAll);
  after(closeEditors);

  it('Invaders is played on the screen with the keyboard', async function () {
    try {
      await vscode.workspace.fs.stat(vscode.Uri.joinPath(folder(), 'guests', 'invaders.exec'));
    } catch {
      await hook.print('    guests/invaders.exec is not in the workspace: its Debian package could not be fetched (tools/guests.mjs says why)');
      return this.skip();
    }
    const ringside = await api();
    await closeEditors();
    ok(await vscode.debug.startDebugging(vscode.workspace.workspaceFolders![0], {
      type: 'ringside', request: 'launch', name: 'Invaders', program: '${workspaceFolder}/guests/invaders.exec',
    }), 'the launch configuration starts');
    const lines = (): string[] => {
      const screen = ringside.screen();
      return screen ? linesOf(screen) : [];
    };
    const all = (): string => lines().join('\n');
    /** Column of the ship's left side. */
    const ship = (): number => lines()[24]?.search(/\/ \\$/) ?? -1;
    const invaders = (): number => all().split('*').length - 1;

    await eventually('the field', () => invaders() >= 30 && ship() > 0, PLAY_MILLISECONDS);
    await eventually('the field in the view', async () => /-\*-[^]*\/ \\/.test(await ringside.screenViewText() ?? ''));
    await vscode.commands.executeCommand('ringside.focusScreen');
    await hook.waitText({ selector: '#keyboard-state', webview: true }, /Keys go to the guest/);

    for (const [key, direction] of [['ArrowLeft', -1], ['ArrowRight', 1]] as const) {
      const from = ship();
      await hook.press(key, 300);
      await eventually(`the ship moves with ${key}`, () => (ship() - from) * direction > 0, PLAY_MILLISECONDS);
      const to = await atRest(ship);
      equal(ship(), to, 'the ship stays when the key is up');
    }

    await hook.press('Space', 100);
    await eventually('a shot rises', () => lines().slice(0, 22).some((line) => line.includes('|')), PLAY_MILLISECONDS);
    await hook.waitText({ selector: '#text', webview: true }, /^ +_ *$/);
    await picture('invaders');

    await hook.press('p', 100);
    await eventually('the pause', () => all().includes('PAUSE'), PLAY_MILLISECONDS);
    const paused = await atRest(all);
    await hook.press('ArrowLeft', 300);
    equal(await atRest(all), paused, 'nothing moves in a pause');
    await hook.press('p', 100);
    await eventually('the game goes on', () => !all().includes('PAUSE'), PLAY_MILLISECONDS);
  });
});

/** The value when it has not changed for a while. */
async function atRest<T>(get: () => T): Promise<T> {
  for (let before = get(); ; before = get()) {
    await new Promise((resolve) => setTimeout(resolve, 700));
    if (get() === before) return before;
  }
}
