/**
 * The Translation view: guest instructions, their records and their WebAssembly side by side, with counts of executions as a margin, and a picture
 * of what leads where. Draws what the extension's model says: all when the model is another, else only the counts.
 */
import type { FromTranslationView, ToTranslationView, TranslationBlock, TranslationHeat, TranslationRow, TranslationViewModel } from '../../protocol/views';
import { Announcer, connect, element, setAttribute, setText } from '../dom';
import { heatStep } from './heat';
import { GraphPicture } from './picture';

const columns = [
  { id: 'bytes', label: 'Bytes', shown: false },
  { id: 'records', label: 'Records', shown: true },
  { id: 'wasm', label: 'WebAssembly', shown: true },
  { id: 'whole', label: 'Whole code', shown: false },
  { id: 'picture', label: 'Picture', shown: true },
] as const;
/** Longer code scrolls in its cell (see translation.css). */
const LINES_SHOWN = 12;

type ColumnId = (typeof columns)[number]['id'];

interface ViewState {
  readonly columns: Partial<Readonly<Record<ColumnId, boolean>>>;
}

const vscode = connect<FromTranslationView, ToTranslationView, ViewState>(receive);
let state: ViewState = vscode.getState() ?? { columns: {} };
let model: TranslationViewModel | undefined;

const title = element('h1', { id: 'title' }, 'Translation');
const program = element('span', { id: 'program' });
const summary = element('p', { id: 'summary' });
const counting = element('p', { id: 'counting' });
const follows = element('span', { id: 'follows' });
const announcement = element('p', { class: 'visually-hidden', role: 'status', 'aria-live': 'polite', id: 'announcement' });
const announcer = new Announcer(announcement, 600);

const input = element('input', { id: 'place', type: 'text', 'aria-label': 'Address, label or register to show', placeholder: '0x7c00, main, eip, [esp] …', spellcheck: 'false' });
const show = element('button', { type: 'submit', title: 'Show the code there, and stay' }, 'Show');
const follow = element('button', { type: 'button', id: 'follow', title: 'Follow the cursor and the stops again' }, 'Follow');
const copy = element('button', { type: 'button', id: 'copy', title: 'Copy everything as text' }, 'Copy');
const form = element('form', { id: 'where' }, input, show, follow, copy);
form.addEventListener('submit', (event) => {
  event.preventDefault();
  if (input.value.trim() !== '') vscode.post({ type: 'show', expression: input.value });
});
follow.addEventListener('click', () => vscode.post({ type: 'follow' }));
copy.addEventListener('click', () => vscode.post({ type: 'copy' }));

const shownColumns = (): Record<ColumnId, boolean> => Object.fromEntries(columns.map(({ id, shown }) => [id, state.columns[id] ?? shown])) as Record<ColumnId, boolean>;
const toggles = columns.map(({ id, label }) => {
  const button = element('button', { type: 'button', class: 'toggle', 'data-column': id }, label);
  button.addEventListener('click', () => {
    state = { columns: { ...state.columns, [id]: !shownColumns()[id] } };
    vscode.setState(state);
    applyColumns();
  });
  return button;
});
function applyColumns(): void {
  const shown = shownColumns();
  columns.forEach(({ id }, n) => {
    setAttribute(toggles[n], 'aria-pressed', String(shown[id]));
    document.body.classList.toggle(`no-${id}`, !shown[id]);
  });
}
const toolbar = element('div', { id: 'columns', role: 'group', 'aria-label': 'What to show' }, ...toggles);

const hot = element('ul', { id: 'hot', 'aria-label': 'Where the guest is found at work' });
const hotSection = element('section', { id: 'hot-section' }, element('h2', {}, 'Hot code'), hot);

const picture = new GraphPicture((block) => {
  const head = table.querySelector<HTMLElement>(`tbody[data-block="${block}"] .block-title`);
  if (head) content.scrollBy({ top: head.getBoundingClientRect().top - content.getBoundingClientRect().top });
  head?.focus({ preventScroll: true });
});
// Roles are said in words: the style sheet lays rows out in another way where there is little room.
const heading = (id: string, text: string) => element('th', { scope: 'col', role: 'columnheader', class: id }, text);
const table = element('table', { id: 'code', role: 'table', 'aria-label': 'Guest instructions, records and WebAssembly' },
  element('thead', { role: 'rowgroup' }, element('tr', { role: 'row' }, heading('heat', 'Executed'), heading('guest', 'Guest instruction'), heading('treatment', 'How'), heading('records', 'Records of threaded code'), heading('wasm', 'WebAssembly'))));
const frame = element('pre', { id: 'frame', tabindex: '0' });
const frameSection = element('details', { id: 'frame-section' }, element('summary', {}, 'Beginning and end of the region\'s function'), frame);
const content = element('div', { id: 'content' }, element('figure', {}, picture.svg), element('div', { id: 'listing' }, table, frameSection));
document.body.append(element('main', {},
  element('header', {}, title, program, form, toolbar, summary, element('p', { class: 'notes' }, follows, ' ', counting)), announcement, hotSection, content));

/** Lines of WebAssembly: what comes behind `;;` explains and stands back. */
function codeLines(lines: readonly string[]): Node[] {
  return lines.flatMap((line, n) => {
    const at = line.indexOf('  ;; ');
    const end = n + 1 < lines.length ? '\n' : '';
    return at < 0 ? [document.createTextNode(line + end)] : [document.createTextNode(line.slice(0, at)), element('span', { class: 'note' }, line.slice(at) + end)];
  });
}

const treatmentLabels: Readonly<Record<TranslationRow['treatment'], string>> = { ident: 'IDENT', simulated: 'simulated', callout: 'callout', untranslated: '–' };

function rowElement(row: TranslationRow): HTMLTableRowElement {
  const address = element('span', { class: 'address' }, row.address);
  const guest = element('td', { class: 'guest', role: 'cell' });
  if (row.label !== undefined) guest.append(element('div', { class: 'label' }, `${row.label}:`));
  guest.append(address, element('span', { class: 'bytes' }, row.bytes));
  const { source } = row;
  if (source) {
    const button = element('button', { type: 'button', class: 'link text', title: `Line ${source.line} of ${source.path}` }, row.text);
    button.addEventListener('click', () => vscode.post({ type: 'openSource', path: source.path, line: source.line }));
    guest.append(button);
  } else guest.append(element('span', { class: 'text' }, row.text));
  if (row.here) guest.append(element('span', { class: 'visually-hidden' }, ` (${row.here})`));
  return element('tr', { role: 'row', class: row.here ? row.here.replace(' ', '-') : '', 'data-linear': String(row.linear) },
    element('td', { class: 'heat', role: 'cell' }), guest,
    element('td', { class: 'treatment', role: 'cell' }, element('span', { class: `badge ${row.treatment}`, title: row.reason }, treatmentLabels[row.treatment])),
    element('td', { class: 'records', role: 'cell' }, ...row.records.map((record) => element('div', { title: record.title }, record.text))),
    element('td', { class: 'wasm', role: 'cell' }, element('pre', row.wasm.length > LINES_SHOWN ? { tabindex: '0' } : {}, ...codeLines(row.wasm))));
}

function blockElement(block: TranslationBlock, n: number): HTMLTableSectionElement {
  const head = element('tr', { class: 'block-head', role: 'row' }, element('th', { colspan: '5', scope: 'rowgroup', role: 'rowheader' },
    element('span', { class: 'block-title', tabindex: '-1' }, block.title), ' ', element('span', { class: 'block-note' }, block.note), ' ', element('span', { class: 'samples' })));
  const exits = block.exits.map((exit) => {
    const text = element(exit.target === undefined ? 'span' : 'button', { class: `exit ${exit.state}${exit.target === undefined ? '' : ' link'}` }, exit.text);
    if (exit.target !== undefined) text.addEventListener('click', () => vscode.post({ type: 'show', expression: exit.target! }));
    return element('li', {}, element('span', { class: `badge exit-${exit.state}` }, exit.state), ' ', text);
  });
  return element('tbody', { role: 'rowgroup', 'data-block': String(n) }, head, ...block.rows.map(rowElement),
    ...(exits.length ? [element('tr', { class: 'exits', role: 'row' }, element('td', { role: 'cell' }), element('td', { role: 'cell', colspan: '4' }, element('ul', { 'aria-label': 'Exits' }, ...exits)))] : []));
}

/** Scrolls up or down, never sideways: rows are wide. */
function reveal(row: Element | null): void {
  if (!row) return;
  const { top, height } = content.getBoundingClientRect();
  const at = row.getBoundingClientRect().top - top;
  if (at < 0 || at > height - 60) content.scrollBy({ top: at - height / 4 });
}

function drawModel(next: TranslationViewModel): void {
  const before = model;
  model = next;
  document.body.dataset.state = next.state;
  setText(title, next.title);
  setText(program, next.program);
  setText(summary, next.summary);
  setText(follows, next.follows === '' ? '' : next.pinned ? `Stays at ${next.follows}.` : `Follows ${next.follows}.`);
  follow.disabled = !next.pinned;
  content.hidden = next.blocks.length === 0;
  table.replaceChildren(table.tHead!, ...next.blocks.map(blockElement));
  picture.draw(next);
  document.body.classList.toggle('no-graph', next.edges.length === 0);
  frameSection.hidden = next.frame.length === 0;
  frame.replaceChildren(...codeLines(next.frame));
  if (before?.title !== next.title || before.state !== next.state) {
    announcer.say(`${next.title}. ${next.summary}`);
    reveal(table.querySelector('tr.instruction-pointer, tr.asked-for'));
  }
}

function drawHeat(heat: TranslationHeat): void {
  setText(counting, heat.counting);
  const most = Math.max(0, ...heat.executions.flat().map((count) => count ?? 0));
  const mostSamples = Math.max(0, ...heat.samples);
  Array.from(table.tBodies).forEach((body, n) => {
    const counts = heat.executions[n] ?? [];
    body.querySelectorAll<HTMLTableCellElement>('td.heat').forEach((cell, r) => {
      const count = counts[r] ?? null;
      setText(cell, count === null ? '' : count.toLocaleString('en'));
      setAttribute(cell, 'data-heat', String(heatStep(count, most)));
    });
    const samples = heat.samples[n] ?? 0;
    const found = body.querySelector('.samples');
    if (found) setText(found, samples > 0 ? `found at work ${samples}×` : '');
    picture.heat(n, (counts[0] ?? null) === null ? heatStep(samples, mostSamples) : heatStep(counts[0], most));
  });
  hotSection.hidden = heat.hot.length === 0;
  if (hot.childElementCount !== heat.hot.length) {
    hot.replaceChildren(...heat.hot.map(() => {
      const button = element('button', { type: 'button', class: 'hot' }, element('span', { class: 'bar' }), element('span', { class: 'name' }), element('span', { class: 'share' }));
      button.addEventListener('click', () => vscode.post({ type: 'show', expression: button.dataset.expression! }));
      return element('li', {}, button);
    }));
  }
  heat.hot.forEach((one, n) => {
    const button = hot.children[n].firstElementChild as HTMLButtonElement;
    button.dataset.expression = one.expression;
    setAttribute(button, 'title', one.note);
    (button.children[0] as HTMLElement).style.width = `${Math.round(100 * one.share)}%`;
    setText(button.children[1], one.title);
    setText(button.children[2], `${Math.round(100 * one.share)} %`);
  });
}

function receive(message: ToTranslationView): void {
  if (message.type === 'update') {
    if (message.model) drawModel(message.model);
    drawHeat(message.heat);
    vscode.post({ type: 'acknowledge', sequence: message.sequence });
  } else {
    vscode.post({ type: 'snapshot', id: message.id, text: document.querySelector('main')!.innerText });
  }
}

applyColumns();
content.hidden = hotSection.hidden = true;
vscode.post({ type: 'ready' });
