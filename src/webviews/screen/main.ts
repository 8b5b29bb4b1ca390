/**
 * The VGA text screen: draws cells on a canvas, keeps the same text for screen readers, and gives the keyboard to the guest while it has
 * the focus. The extension sends the next update only after this one was acknowledged.
 */
import { codePage437, screenLines, vgaPalette } from '../../protocol/codepage437';
import { makeCode, PressedKeys, scancodesForText } from '../../protocol/keys';
import type { FromScreenView, ToScreenView } from '../../protocol/views';
import { Announcer, connect, element, setAttribute, setText } from '../dom';
import { cellShape } from './boxes';

/** A character cell of VGA text mode: 9 × 16 dots. */
const dotsWide = 9, dotsHigh = 16;
const cursorBlinkMilliseconds = 266, textBlinkMilliseconds = 533;

const vscode = connect<FromScreenView, ToScreenView, unknown>(receive);
let columns = 80, rows = 25;
let cells = new Uint8Array(columns * rows * 2);
let cursor = { visible: false, column: 0, row: 0 };
let live = false;

const canvas = element('canvas', { 'aria-hidden': 'true' });
const text = element('pre', { id: 'text', class: 'visually-hidden' });
const announcement = element('p', { class: 'visually-hidden', role: 'log', 'aria-live': 'polite' });
const announcer = new Announcer(announcement, 1500);
const screen = element('div', { id: 'screen', tabindex: '0', role: 'application', 'aria-describedby': 'keyboard-state' }, canvas);
const keyboardState = element('span', { id: 'keyboard-state' });
const grab = element('button', { type: 'button', id: 'grab' }, 'Give the keyboard to the guest');
const stateText = element('span', { id: 'state' });
const frame = element('div', { id: 'frame' }, screen);
document.body.append(element('main', {}, frame, element('footer', {}, stateText, ' ', keyboardState, ' ', grab), element('section', { 'aria-label': 'Text on the screen' }, text), announcement));

// Drawing.

const context = canvas.getContext('2d', { alpha: false })!;
let cellWidth = dotsWide, cellHeight = dotsHigh;
const calm = window.matchMedia('(prefers-reduced-motion: reduce)');
let cursorOn = true, blinkOn = true;

/** Makes the picture as large as the view allows, in whole pixels per cell, with the 4:3 look of the real dots left out: cells keep 9:16. */
function fit(): void {
  const ratio = window.devicePixelRatio || 1;
  const scale = Math.min(frame.clientWidth * ratio / (columns * dotsWide), frame.clientHeight * ratio / (rows * dotsHigh));
  cellWidth = Math.max(4, Math.floor(dotsWide * scale));
  cellHeight = Math.max(8, Math.floor(dotsHigh * scale));
  canvas.width = columns * cellWidth;
  canvas.height = rows * cellHeight;
  canvas.style.width = `${canvas.width / ratio}px`;
  canvas.style.height = `${canvas.height / ratio}px`;
  context.textBaseline = 'middle';
  context.textAlign = 'center';
  const family = getComputedStyle(document.body).getPropertyValue('--vscode-editor-font-family') || 'monospace';
  context.font = `${Math.floor(cellHeight * 0.82)}px ${family}, monospace`;
  for (let cell = 0; cell < columns * rows; cell++) drawCell(cell);
}

function drawCell(cell: number): void {
  const code = cells[cell * 2], attribute = cells[cell * 2 + 1];
  const column = cell % columns, row = Math.floor(cell / columns);
  const x = column * cellWidth, y = row * cellHeight;
  context.globalAlpha = 1;
  context.fillStyle = vgaPalette[(attribute >> 4) & 7];
  context.fillRect(x, y, cellWidth, cellHeight);
  context.fillStyle = vgaPalette[attribute & 15];
  if (!(attribute & 0x80) || blinkOn) drawCharacter(code, x, y);
  if (cursor.visible && cursorOn && live && column === cursor.column && row === cursor.row) {
    const thick = Math.max(2, Math.round(cellHeight / 8));
    context.globalAlpha = 1;
    context.fillRect(x, y + cellHeight - thick, cellWidth, thick);
  }
}

function drawCharacter(code: number, x: number, y: number): void {
  if (code === 0 || code === 0x20 || code === 0xff) return;
  const shape = cellShape(code, cellWidth, cellHeight);
  if (shape) {
    context.globalAlpha = shape.opacity;
    for (const [left, top, width, height] of shape.rectangles) context.fillRect(x + left, y + top, width, height);
    return;
  }
  context.fillText(codePage437[code], x + cellWidth / 2, y + cellHeight / 2, cellWidth);
}

const cursorCell = () => (cursor.column < columns && cursor.row < rows ? cursor.row * columns + cursor.column : -1);

setInterval(() => {
  cursorOn = calm.matches || !cursorOn;
  const cell = cursorCell();
  if (cell >= 0 && !document.hidden) drawCell(cell);
}, cursorBlinkMilliseconds);
setInterval(() => {
  blinkOn = calm.matches || !blinkOn;
  if (document.hidden) return;
  for (let cell = 0; cell < columns * rows; cell++) if (cells[cell * 2 + 1] & 0x80) drawCell(cell);
}, textBlinkMilliseconds);
new ResizeObserver(fit).observe(frame);

// Text for those who do not see the canvas. What is announced is the lines that changed, slowly.

let lines: string[] = [];
let textTimer: ReturnType<typeof setTimeout> | undefined;
function updateText(): void {
  textTimer = undefined;
  const now = screenLines(columns, rows, cells);
  const changed = now.filter((line, i) => line && line !== lines[i]);
  lines = now;
  setText(text, now.join('\n').replace(/\n+$/, ''));
  if (changed.length > 0) announcer.say(changed.slice(-5).join('\n'));
}

function receive(message: ToScreenView): void {
  switch (message.type) {
    case 'update': {
      setAttribute(screen, 'aria-label', `VGA text screen of ${message.program}`);
      const before = cursorCell();
      cursor = message.cursor;
      if (message.columns !== columns || message.rows !== rows) {
        ({ columns, rows } = message);
        cells = new Uint8Array(columns * rows * 2);
        for (const run of message.runs) cells.set(run.cells, run.start * 2);
        fit();
      } else {
        for (const run of message.runs) {
          cells.set(run.cells, run.start * 2);
          for (let cell = 0; cell < run.cells.length / 2; cell++) drawCell(run.start + cell);
        }
        for (const cell of [before, cursorCell()]) if (cell >= 0) drawCell(cell);
      }
      textTimer ??= setTimeout(updateText, 200);
      vscode.post({ type: 'acknowledge', sequence: message.sequence });
      break;
    }
    case 'state':
      live = message.live;
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
      vscode.post({ type: 'snapshot', id: message.id, text: text.textContent ?? '' });
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
  setText(keyboardState, !live ? '' : has ? 'Keys go to the guest. Ctrl+Alt+G gives the keyboard back.' : 'Keys go to the editor.');
  grab.hidden = has || !live;
}

screen.addEventListener('keydown', (event) => {
  if (!live) return;
  if (event.ctrlKey && event.altKey && event.code === 'KeyG') {
    release();
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

showKeyboard();
vscode.post({ type: 'ready' });
