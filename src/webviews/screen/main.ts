/**
 * The screen: draws text or pictures on a canvas, keeps the text for screen readers, and gives keyboard and mouse to the guest while it has
 * the focus. The extension sends the next update only after this one was acknowledged.
 */
import { screenLines } from '../../protocol/codepage437';
import { makeCode, PressedKeys, scancodesForText } from '../../protocol/keys';
import type { FromScreenView, ToScreenView } from '../../protocol/views';
import { Announcer, connect, element, setAttribute, setText } from '../dom';
import { MouseInput } from './mouse-input';
import { PictureCanvas } from './picture-canvas';
import { TextCanvas } from './text-canvas';

const vscode = connect<FromScreenView, ToScreenView, unknown>(receive);
let live = false;

// A text screen has its text beside it for those who do not see it; a picture says what it is.
const canvas = element('canvas', { 'aria-hidden': 'true' });
const text = element('pre', { id: 'text', class: 'visually-hidden' });
const announcement = element('p', { class: 'visually-hidden', role: 'log', 'aria-live': 'polite' });
const announcer = new Announcer(announcement, 1500);
const screen = element('div', { id: 'screen', tabindex: '0', role: 'application', 'aria-describedby': 'keyboard-state' }, canvas);
const keyboardState = element('span', { id: 'keyboard-state' });
const grab = element('button', { type: 'button', id: 'grab' }, 'Give the keyboard to the guest');
const capture = element('button', { type: 'button', id: 'capture' }, 'Capture the mouse');
const stateText = element('span', { id: 'state' });
const frame = element('div', { id: 'frame' }, screen);
document.body.append(element('main', {}, frame, element('footer', {}, stateText, ' ', keyboardState, ' ', grab, ' ', capture), element('section', { 'aria-label': 'Text on the screen' }, text), announcement));

const context = canvas.getContext('2d', { alpha: false })!;
const textCanvas = new TextCanvas(canvas, context, frame);
const pictureCanvas = new PictureCanvas(canvas, context, frame);
new ResizeObserver(() => (pictureCanvas.shown ? pictureCanvas : textCanvas).fit()).observe(frame);

// Text for those who do not see the canvas. What is announced is the lines that changed, slowly.

let lines: string[] = [];
let textTimer: ReturnType<typeof setTimeout> | undefined;
function updateText(): void {
  textTimer = undefined;
  const now = pictureCanvas.shown ? [] : screenLines(textCanvas.columns, textCanvas.rows, textCanvas.cells);
  const changed = now.filter((line, i) => line && line !== lines[i]);
  lines = now;
  setText(text, now.join('\n').replace(/\n+$/, ''));
  if (changed.length > 0) announcer.say(changed.slice(-5).join('\n'));
}

function afterUpdate(sequence: number): void {
  textTimer ??= setTimeout(updateText, 200);
  vscode.post({ type: 'acknowledge', sequence });
}

function receive(message: ToScreenView): void {
  switch (message.type) {
    case 'text':
      setAttribute(screen, 'aria-label', `VGA text screen of ${message.program}`);
      setAttribute(canvas, 'aria-hidden', 'true');
      canvas.removeAttribute('role');
      pictureCanvas.shown = false;
      canvas.classList.remove('picture');
      textCanvas.update(message);
      afterUpdate(message.sequence);
      break;
    case 'picture':
      setAttribute(screen, 'aria-label', `VGA screen of ${message.program}`);
      canvas.removeAttribute('aria-hidden');
      setAttribute(canvas, 'role', 'img');
      setAttribute(canvas, 'aria-label', `Picture, ${message.mode}`);
      textCanvas.shown = false;
      canvas.classList.add('picture');
      pictureCanvas.update(message);
      afterUpdate(message.sequence);
      break;
    case 'state':
      live = textCanvas.live = message.live;
      if (!live) release();
      document.body.dataset.live = String(live);
      setText(stateText, message.text);
      showKeyboard();
      break;
    case 'focus':
      screen.focus();
      break;
    case 'snapshot':
      clearTimeout(textTimer);
      updateText();
      vscode.post({ type: 'snapshot', id: message.id, text: pictureCanvas.shown ? canvas.getAttribute('aria-label') ?? '' : text.textContent ?? '' });
  }
}

// Keyboard. While the screen has the focus every key goes to the guest except the one that takes the focus away.

const keys = new PressedKeys();
const send = (scancodes: readonly number[] | undefined) => {
  if (scancodes?.length) vscode.post({ type: 'keyboard', scancodes });
};
const release = () => send(keys.releaseAll());

function showKeyboard(): void {
  const has = document.activeElement === screen && document.hasFocus();
  document.body.dataset.keyboard = has && live ? 'guest' : 'editor';
  capture.hidden = !live;
  setText(keyboardState, !live ? '' : has ? 'Keys go to the guest. Ctrl+Alt+G gives keyboard and mouse back.' : 'Keys go to the editor.');
  grab.hidden = has || !live;
}

screen.addEventListener('keydown', (event) => {
  if (!live) return;
  if (event.ctrlKey && event.altKey && event.code === 'KeyG') {
    release();
    mouse.release();
    grab.hidden = false;
    grab.focus();
  } else {
    // A key without a physical position comes from an on-screen keyboard: type its character.
    const make = makeCode(event.code) ? keys.press(event.code) : [...event.key].length === 1 ? scancodesForText(event.key).scancodes : undefined;
    if (!make) return;
    send(make);
  }
  event.preventDefault();
  event.stopPropagation();
});
screen.addEventListener('keyup', (event) => {
  send(keys.release(event.code));
  // macOS reports no release of keys that were held together with Command.
  if (event.code.startsWith('Meta')) release();
  event.preventDefault();
  event.stopPropagation();
});
screen.addEventListener('focus', showKeyboard);
screen.addEventListener('blur', () => {
  release();
  showKeyboard();
});
window.addEventListener('blur', () => {
  release();
  showKeyboard();
});
window.addEventListener('focus', showKeyboard);
screen.addEventListener('mousedown', () => screen.focus());
grab.addEventListener('click', () => screen.focus());

const mouse = new MouseInput(screen, canvas, () => live && document.activeElement === screen, (movement) => vscode.post({ type: 'mouse', movement }));
capture.addEventListener('click', () => {
  screen.focus();
  mouse.capture();
});

showKeyboard();
vscode.post({ type: 'ready' });
