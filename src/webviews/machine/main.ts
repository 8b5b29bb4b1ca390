/** The Machine view: registers, EFLAGS, segments and counters of the guest. Draws what the extension's model says; computes only the plot. */
import type { CounterDefinition } from '../../protocol/messages';
import type { FromMachineView, MachineViewCommand, MachineViewModel, RegisterRow, ToMachineView } from '../../protocol/views';
import { Announcer, connect, element, setAttribute, setText, svgElement } from '../dom';
import { CounterHistory, formatRate, groupDigits, plotPoints } from './history';

interface ViewState {
  readonly plotted: string;
  /** Ids of the sections that the user folded or unfolded. */
  readonly sections: Readonly<Record<string, boolean>>;
}

const plotWidth = 320, plotHeight = 64;
const vscode = connect<FromMachineView, ToMachineView, ViewState>(receive);
let state: ViewState = vscode.getState() ?? { plotted: 'instructions', sections: {} };
const history = new CounterHistory();
let definitions: readonly CounterDefinition[] = [];
let model: MachineViewModel | undefined;

function remember(change: Partial<ViewState>): void {
  state = { ...state, ...change };
  vscode.setState(state);
}

// The skeleton stands once; drawing changes texts.
const program = element('h1', { id: 'program' }, 'No machine');
const status = element('span', { id: 'status' });
const mode = element('span', { id: 'mode' });
const announcement = element('p', { class: 'visually-hidden', role: 'status', 'aria-live': 'polite', id: 'announcement' });
const announcer = new Announcer(announcement, 400);

/** What each button is called, what it does in words, and in which states it can. */
const commands: readonly { readonly command: MachineViewCommand; readonly label: string; readonly title: string; readonly states: readonly string[] }[] = [
  { command: 'continue', label: 'Continue', title: 'Let the guest run', states: ['paused'] },
  { command: 'pause', label: 'Pause', title: 'Stop the guest where it is', states: ['running'] },
  { command: 'stepInstruction', label: 'Step', title: 'Execute one instruction', states: ['paused'] },
  { command: 'restart', label: 'Restart', title: 'Assemble and start again', states: ['paused', 'running', 'ended'] },
  { command: 'terminate', label: 'Stop', title: 'End the machine', states: ['paused', 'running'] },
  { command: 'showScreen', label: 'Screen', title: 'Show the VGA screen', states: ['paused', 'running', 'ended'] },
  { command: 'showSerial', label: 'Serial', title: 'Show the serial terminal', states: ['paused', 'running', 'ended'] },
];
const buttons = commands.map(({ command, label, title }) => {
  const button = element('button', { type: 'button', 'data-command': command, title }, label);
  button.addEventListener('click', () => vscode.post({ type: 'command', command }));
  return button;
});
const toolbar = element('div', { role: 'toolbar', 'aria-label': 'Machine' }, ...buttons);

const address = element('code', { id: 'address' });
const instruction = element('code', { id: 'instruction' });
const forecast = element('span', { id: 'forecast' });
const here = element('p', { id: 'here', 'aria-label': 'Instruction at hand' }, address, ' ', instruction, ' ', forecast);

function section(id: string, title: string, open: boolean, ...content: Node[]): HTMLDetailsElement {
  const details = element('details', { id, class: 'section' }, element('summary', {}, element('h2', {}, title)), ...content);
  details.open = state.sections[id] ?? open;
  details.addEventListener('toggle', () => remember({ sections: { ...state.sections, [id]: details.open } }));
  return details;
}

function table(id: string, label: string, headings: readonly string[]): { table: HTMLTableElement; body: HTMLTableSectionElement } {
  const body = element('tbody');
  const head = element('thead', {}, element('tr', {}, ...headings.map((text) => element('th', { scope: 'col' }, text))));
  return { table: element('table', { id, 'aria-label': label }, head, body), body };
}

const general = element('ul', { id: 'registers', class: 'registers', 'aria-label': 'General registers' });
const system = element('ul', { id: 'system', class: 'registers', 'aria-label': 'Control registers and tables' });
const floating = element('ul', { id: 'floating', class: 'registers', 'aria-label': 'Floating-point and vector registers' });
const segments = table('segments', 'Segment registers', ['Segment', 'Selector', 'Base', 'Limit', 'Attributes']);
const counters = table('counters', 'Event counters', ['Event', 'Count', 'Rate']);
const flags = element('ul', { id: 'flags', 'aria-label': 'EFLAGS' });
const postMortem = element('ol', { id: 'post-mortem' });
const postMortemSection = section('section-post-mortem', 'Post-mortem', true, postMortem);

const line = svgElement('polyline', { class: 'plot-line', fill: 'none' });
const plot = svgElement('svg', { id: 'plot', viewBox: `0 -2 ${plotWidth} ${plotHeight + 4}`, preserveAspectRatio: 'none', role: 'img' });
plot.append(line);
const plotTitle = element('figcaption', { id: 'plot-title' });
const figure = element('figure', {}, plotTitle, plot);

const content = element('div', { id: 'content' },
  postMortemSection,
  section('section-registers', 'Registers', true, general),
  section('section-flags', 'EFLAGS', true, flags),
  section('section-counters', 'Counters', true, figure, counters.table),
  section('section-segments', 'Segments', false, segments.table),
  section('section-system', 'Control registers', false, system),
  section('section-floating', 'FPU/SSE', false, floating));
const empty = element('p', { id: 'empty' }, 'Start a program with F5 to see its machine here.');
document.body.append(element('main', {}, element('header', {}, program, element('p', { class: 'summary' }, status, ' ', mode), toolbar, here), announcement, empty, content));

/** Rows of a table keyed by name: created once, changed in place. */
function rows(body: HTMLTableSectionElement, names: readonly string[], cells: number): HTMLTableRowElement[] {
  const present = Array.from(body.rows);
  if (present.length === names.length && present.every((row, i) => row.dataset.name === names[i])) return present;
  body.replaceChildren(...names.map((name) =>
    element('tr', { 'data-name': name }, element('th', { scope: 'row' }, name), ...Array.from({ length: cells }, () => element('td')))));
  return Array.from(body.rows);
}

/** Items of a list keyed by name: created once, changed in place. Each has a name, a value and what the value was. */
function items(list: HTMLUListElement, names: readonly string[]): Element[] {
  const present = Array.from(list.children) as HTMLElement[];
  if (present.length === names.length && present.every((item, i) => item.dataset.name === names[i])) return present;
  list.replaceChildren(...names.map((name) => element('li', { 'data-name': name },
    element('span', { class: 'name' }, name), ' ', element('span', { class: 'value' }), element('span', { class: 'was' }))));
  return Array.from(list.children);
}

function drawItem(item: Element, value: string, previous: string | undefined, title: string, state: string): void {
  setAttribute(item, 'class', `${state}${previous === undefined ? '' : ' changed'}`.trim());
  setAttribute(item, 'title', title);
  setText(item.children[1], value);
  setText(item.children[2], previous === undefined ? '' : ` was ${previous}`);
}

function drawRegisters(list: HTMLUListElement, registers: readonly RegisterRow[]): void {
  items(list, registers.map((r) => r.name)).forEach((item, i) => {
    const { value, previous, note } = registers[i];
    drawItem(item, value, previous, note, '');
  });
}

function drawFlags(all: MachineViewModel['flags']): void {
  items(flags, all.map((flag) => flag.name)).forEach((item, i) => {
    const { title, definition, value, previous } = all[i];
    drawItem(item, String(value), previous === undefined ? undefined : String(previous), `${title}: ${definition}`, value ? 'set' : 'clear');
  });
}

function drawModel(): void {
  if (!model) return;
  const present = model.state !== 'none';
  setText(program, model.program || 'No machine');
  setText(status, model.status);
  setText(mode, model.mode);
  toolbar.hidden = !present;
  content.hidden = !present;
  empty.hidden = present;
  here.hidden = !model.location;
  document.body.dataset.state = model.state;
  buttons.forEach((button, i) => { button.disabled = !commands[i].states.includes(model!.state); });
  setText(address, model.location?.address ?? '');
  setText(instruction, model.location?.instruction ?? '');
  setText(forecast, model.forecast ?? '');
  drawRegisters(general, model.general);
  drawRegisters(system, model.system);
  drawRegisters(floating, model.floating);
  drawFlags(model.flags);
  rows(segments.body, model.segments.map((s) => s.name), 4).forEach((row, i) => {
    const segment = model!.segments[i];
    setAttribute(row, 'class', segment.changed ? 'changed' : '');
    [segment.selector, segment.base, segment.limit, segment.kind].forEach((text, cell) => setText(row.cells[cell + 1], text));
  });
  postMortemSection.hidden = model.postMortem.length === 0;
  postMortem.replaceChildren(...model.postMortem.map((text) => element('li', {}, text)));
}

/** What a screen reader hears at a stop: why, where, and what changed. Nothing while the guest runs. */
function announce(): void {
  if (!model) return;
  const changes = [...model.general, ...model.system].filter((r) => r.previous !== undefined).map((r) => `${r.name} ${r.value.replace(/^0+(?=.)/, '')}`);
  const flagChanges = model.flags.filter((f) => f.previous !== undefined).map((f) => `${f.name} ${f.value}`);
  const stopped = model.state === 'paused';
  announcer.say([model.status, ...(stopped ? [model.location?.instruction, model.forecast, ...changes, ...flagChanges] : [])].filter(Boolean).join('. '));
}

function buildCounters(): void {
  rows(counters.body, definitions.map((d) => d.id), 2).forEach((row, i) => {
    const { id, title, definition } = definitions[i];
    const button = element('button', { type: 'button', class: 'link', 'aria-description': definition }, title);
    button.addEventListener('click', () => {
      remember({ plotted: id });
      drawCounters();
    });
    row.cells[0].replaceChildren(button);
    row.title = `${definition} Select to plot.`;
  });
}

let described = 0;
function drawCounters(): void {
  const last = history.last;
  definitions.forEach((definition, i) => {
    const row = counters.body.rows[i];
    if (!row) return;
    const rate = history.rates(definition.id).at(-1);
    const chosen = definition.id === state.plotted;
    setAttribute(row, 'class', chosen ? 'chosen' : '');
    setAttribute(row.cells[0].firstElementChild!, 'aria-pressed', String(chosen));
    setText(row.cells[1], groupDigits(last?.values[definition.id] ?? 0));
    setText(row.cells[2], rate && rate.perSecond > 0 ? formatRate(rate.perSecond) : '');
  });
  const title = definitions.find((d) => d.id === state.plotted)?.title ?? '';
  const rates = history.rates(state.plotted);
  setAttribute(line, 'points', plotPoints(rates, plotWidth, plotHeight));
  const most = Math.max(0, ...rates.map((r) => r.perSecond));
  const seconds = rates.length > 1 ? (rates.at(-1)!.atMilliseconds - rates[0].atMilliseconds) / 1000 : 0;
  setText(plotTitle, title && `${title} per second, at most ${formatRate(most)}, last ${seconds.toFixed(0)} s`);
  // The label of a picture is read out when it changes under the cursor: seldom is enough.
  if (performance.now() - described > 5000) {
    described = performance.now();
    setAttribute(plot, 'aria-label', plotTitle.textContent ?? '');
  }
}

let scheduled = false;
function schedule(): void {
  if (scheduled) return;
  scheduled = true;
  // Not an animation frame: those stop while the view is hidden, and the view must be right when it comes back.
  setTimeout(() => {
    scheduled = false;
    drawModel();
    drawCounters();
  }, 16);
}

function receive(message: ToMachineView): void {
  switch (message.type) {
    case 'model': {
      const differs = model?.status !== message.model.status || message.model.state === 'paused';
      model = message.model;
      if (differs) announce();
      schedule();
      break;
    }
    case 'counters':
      definitions = message.definitions;
      history.clear();
      buildCounters();
      schedule();
      break;
    case 'sample':
      history.add(message.sample);
      schedule();
      break;
    case 'snapshot':
      drawModel();
      drawCounters();
      vscode.post({ type: 'snapshot', id: message.id, text: document.querySelector('main')!.innerText });
  }
}

// Arrow keys move within the toolbar, as the ARIA pattern asks.
toolbar.addEventListener('keydown', (event) => {
  const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
  const usable = buttons.filter((button) => !button.disabled);
  const at = usable.indexOf(document.activeElement as HTMLButtonElement);
  if (!step || at < 0) return;
  usable[(at + step + usable.length) % usable.length].focus();
  event.preventDefault();
});

content.hidden = toolbar.hidden = here.hidden = postMortemSection.hidden = true;
vscode.post({ type: 'ready' });
