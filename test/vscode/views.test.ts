/** The Machine view, the screen and the serial terminal of a running guest. */
import * as vscode from 'vscode';
import { equal, eventually, match } from './check';
import { hook } from './hook';
import { api, breakAt, closeEditors, endAll, open, Stops, picture } from './session';
import { echoProgram, floatingProgram, graphicsProgram, stepProgram, tripleFaultProgram } from './programs';

describe('views of a machine', () => {
  const stops = new Stops();
  before(async () => { await api(); });
  beforeEach(() => stops.reset());
  afterEach(endAll);
  after(async () => {
    stops.dispose();
    await closeEditors();
  });

  it('the Machine view opens beside the source and shows registers, flags and the jump at hand', async () => {
    const ringside = await api();
    const { document } = await open('suite-steps.asm', stepProgram);
    breakAt(document, 'cmp eax');
    await vscode.commands.executeCommand('workbench.action.debug.start');
    await stops.next();
    await vscode.commands.executeCommand('workbench.action.debug.stepOver');
    await stops.next();
    const text = await eventually('the forecast in the view', async () => {
      const shown = await ringside.machineViewText();
      return shown && /jn[ez] not taken/.test(shown) ? shown : undefined;
    });
    match(text, /EAX\s+00000012/);
    match(text, /ZF\s*1\s*was 0/);
    match(text, /Paused after a step/);
    match(text, /Translation units/);
    match(text, /real mode/);
    equal(vscode.window.tabGroups.all.length >= 2, true, 'the view stands beside the source');
    await picture('machine');
  });

  it('the Machine view is usable without a mouse and without sight', async function () {
    const { document } = await open('suite-steps.asm', stepProgram);
    breakAt(document, 'cmp eax');
    await vscode.commands.executeCommand('workbench.action.debug.start');
    await stops.next();
    await hook.waitText({ selector: '#announcement', webview: true }, /Paused at a breakpoint/);
    equal(await hook.attribute({ selector: '#announcement', webview: true }, 'aria-live'), 'polite');
    equal(await hook.attribute({ selector: '#registers', webview: true }, 'aria-label'), 'General registers');
    match(await hook.attribute({ selector: '#counters tbody tr', webview: true }, 'title') ?? '', /instructions/);
    await hook.focus({ selector: 'button[data-command="stepInstruction"]', webview: true });
    await hook.press('Enter');
    await stops.next();
    await hook.waitText({ selector: '#status', webview: true }, /Paused after a step/);
  });

  it('the Machine view has the x87 and SSE registers in a section of their own', async function () {
    const { document } = await open('suite-floating.asm', floatingProgram);
    breakAt(document, 'hlt');
    await vscode.commands.executeCommand('workbench.action.debug.start');
    await stops.next();
    // Folded away, so that the section is in the picture.
    await hook.click({ selector: '#section-counters summary', webview: true });
    await hook.click({ selector: '#section-floating summary', webview: true });
    await hook.waitText({ selector: '#floating li[data-name="ST0"]', webview: true }, /ST0 3\.14159265358979/);
    match((await hook.texts({ selector: '#floating li', webview: true })).join('|'), /ST1 1\.5.*ST2 empty.*FCW 037F.*MXCSR 00001F80.*XMM7/);
    await picture('floating');
    await hook.click({ selector: '#section-counters summary', webview: true });
  });

  it('the counters of the Machine view are live while the guest runs', async () => {
    const ringside = await api();
    await open('suite-steps.asm', stepProgram);
    await vscode.commands.executeCommand('ringside.run');
    const first = await eventually('instructions', () => ringside.counters()?.instructions);
    await eventually('more instructions', () => (ringside.counters()?.instructions ?? 0) > first + 1000);
    equal(ringside.machineModel().state, 'running');
    match(await ringside.machineViewText(), /Instructions\s+[\d\u202f]+\s+[\d.]+ [kMG]?\/s/);
    await picture('counters');
  });

  it('the screen shows the guest\'s text and takes the keyboard', async function () {
    const ringside = await api();
    await open('suite-echo.asm', echoProgram);
    await vscode.commands.executeCommand('ringside.run');
    await eventually('text on the screen', async () => (await ringside.screenViewText())?.includes('Hello, ring 0'));
    await vscode.commands.executeCommand('ringside.typeText', 'typed By command!');
    await eventually('the typed text', async () => (await ringside.screenViewText())?.includes('typed By command!'));
    await picture('screen');
    await vscode.commands.executeCommand('ringside.focusScreen');
    await hook.waitText({ selector: '#keyboard-state', webview: true }, /Keys go to the guest/);
    await hook.type('keys a');
    await hook.press('Shift+b');
    await hook.waitText({ selector: '#text', webview: true }, /keys aB/);
    await picture('screen-keyboard');
    await hook.press('Control+Alt+g');
    await hook.waitText({ selector: '#keyboard-state', webview: true }, /Keys go to the editor/);
    equal((await hook.texts({ selector: '#text', webview: true })).join().includes('keys aBg'), false, 'the key that gives the keyboard back reached the guest');
  });

  it('the screen shows pictures, says which, and gives the mouse to the guest', async function () {
    const ringside = await api();
    await open('suite-graphics.asm', graphicsProgram);
    await vscode.commands.executeCommand('ringside.run');
    await eventually('the picture', async () => (await ringside.screenViewText()) === 'Picture, 320×200, 256 colours');
    await hook.waitText({ selector: '#capture', webview: true }, /Capture the mouse/);
    equal(await hook.attribute({ selector: 'canvas', webview: true }, 'role'), 'img');
    const shown = await eventually('colours', () => {
      const screen = ringside.screen();
      return screen?.kind === 'graphics' && screen.rectangles[0].pixels[319 + 199 * 320] !== 0 ? screen : undefined;
    });
    equal(shown.kind === 'graphics' && shown.rectangles[0].pixels[5 * 320 + 100], 100 ^ 5);
    await picture('graphics');
    const client = ringside.client();
    await client?.request('mouse', { x: 3, y: 0, wheel: 0, buttons: 1 });
    await eventually('the mouse on the serial port', () => ringside.serialText().includes('mouse 09 03 00'));
  });

  it('the devices\' registers are in the debug side bar, with what changed', async function () {
    const { document } = await open('suite-steps.asm', stepProgram);
    breakAt(document, 'cmp eax');
    await vscode.commands.executeCommand('workbench.action.debug.start');
    await stops.next();
    await vscode.commands.executeCommand('ringside.devices.focus');
    await hook.waitText({ selector: '.debug-viewlet, .sidebar' }, /8259A interrupt controllers/);
    // The list may be drawn once more while a command is on its way, and forgets then what has the focus.
    await eventually('the first device, opened', async () => {
      await vscode.commands.executeCommand('ringside.devices.focus');
      await vscode.commands.executeCommand('list.focusFirst');
      await vscode.commands.executeCommand('list.expand');
      return (await hook.texts({ selector: '.sidebar' })).some((text) => text.includes('Master IMR'));
    });
    await picture('devices');
  });

  it('the serial port is a terminal', async function () {
    const ringside = await api();
    await open('suite-echo.asm', echoProgram);
    await vscode.commands.executeCommand('ringside.run');
    await eventually('serial output', () => ringside.serialText().includes('Hello, ring 0'));
    await ringside.typeSerial('echo me');
    await eventually('the echo', () => ringside.serialText().includes('echo me'));
    await vscode.commands.executeCommand('ringside.showSerial');
    await eventually('the terminal', () => vscode.window.activeTerminal?.name.startsWith('Serial: '));
    vscode.window.activeTerminal!.sendText('typed', false);
    await eventually('what was typed', () => ringside.serialText().includes('typed'));
    await hook.waitText({ selector: '.terminal-tabs-entry, .terminal-outer-container, .part.panel' }, /Serial: suite-echo/);
    await picture('serial');
  });

  it('a guest that dies leaves its post-mortem in the Machine view', async () => {
    const ringside = await api();
    await open('suite-triple.asm', tripleFaultProgram);
    await vscode.commands.executeCommand('ringside.run');
    await eventually('the end', () => ringside.machineModel().state === 'ended');
    match(ringside.machineModel().status, /Triple fault/);
    const text = await eventually('the post-mortem', async () => {
      const shown = await ringside.machineViewText();
      return shown?.includes('Post-mortem') ? shown : undefined;
    });
    match(text, /#UD/);
    equal((await ringside.screenViewText())?.trim(), '', 'text of the machine before on the screen');
    await picture('post-mortem');
  });
});
