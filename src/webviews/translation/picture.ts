/** Draws the control-flow graph of the code that is shown: a box for each block, which leads to its rows. */
import type { TranslationEdge, TranslationViewModel } from '../../protocol/views';
import { setAttribute, svgElement } from '../dom';
import { layOut } from './graph';

const boxWidth = 168, boxHeight = 24, gap = 18, laneWidth = 11, margin = 8;
/** As many as a box is wide. */
const characters = 22;

const edgeWords: Readonly<Record<TranslationEdge['kind'], string>> = { taken: 'jumps to', next: 'goes on with', indirect: 'leads indirectly to', return: 'comes back to' };

export class GraphPicture {
  readonly svg = svgElement('svg', { id: 'graph', role: 'group' });
  private boxes: SVGGElement[] = [];
  private chosen: string | undefined;

  constructor(private readonly choose: (block: number) => void) {
    const marker = svgElement('marker', { id: 'arrow', viewBox: '0 0 8 8', refX: '7', refY: '4', markerWidth: '6', markerHeight: '6', orient: 'auto-start-reverse' });
    marker.append(svgElement('path', { d: 'M0 0 8 4 0 8z', class: 'arrow' }));
    const definitions = svgElement('defs');
    definitions.append(marker);
    this.svg.append(definitions);
  }

  draw({ blocks, edges, block: chosen }: TranslationViewModel): void {
    const { arcs, leftLanes, rightLanes } = layOut(edges);
    const left = margin + leftLanes * laneWidth;
    const width = left + boxWidth + rightLanes * laneWidth + margin;
    const height = 2 * margin + blocks.length * (boxHeight + gap) - gap;
    setAttribute(this.svg, 'viewBox', `0 0 ${width} ${height}`);
    setAttribute(this.svg, 'width', String(width));
    setAttribute(this.svg, 'height', String(height));
    const loops = blocks.filter(({ loop }) => loop).length;
    setAttribute(this.svg, 'aria-label', `Control-flow graph: ${blocks.length} blocks, ${loops} ${loops === 1 ? 'loop' : 'loops'}`);
    const top = (n: number): number => margin + n * (boxHeight + gap);
    const paths = arcs.map(({ edge, side, lane }) => {
      const { from, to, kind } = edges[edge];
      const start = top(from), end = top(to);
      const outwards = laneWidth * (lane + 1);
      const d = side === 'straight' ? `M${left + boxWidth / 2} ${start + boxHeight}V${end}`
        : side === 'right' ? `M${left + boxWidth} ${start + boxHeight * 0.7}h${outwards - 3}q3 0 3 3V${end + boxHeight * 0.3 - 3}q0 3 -3 3h${3 - outwards}`
          : `M${left} ${start + boxHeight * 0.7}h${3 - outwards}q-3 0 -3 -3V${end + boxHeight * 0.3 + 3}q0 -3 3 -3h${outwards - 3}`;
      return svgElement('path', { d, class: `edge ${kind} ${side}`, 'marker-end': 'url(#arrow)' });
    });
    this.boxes = blocks.map(({ title, note, loop }, n) => {
      const group = svgElement('g', { class: `box${loop ? ' loop' : ''}${n === chosen ? ' chosen' : ''}`, role: 'button', tabindex: '0', transform: `translate(${left} ${top(n)})` });
      const leads = edges.filter(({ from }) => from === n).map(({ kind, to }) => `${edgeWords[kind]} block ${to}`);
      group.setAttribute('aria-label', [`${title}, ${note}`, ...leads].join('; '));
      const tip = svgElement('title');
      tip.textContent = `${title}: ${note}`;
      const text = svgElement('text', { x: '8', y: String(boxHeight / 2 + 4) });
      const room = characters - String(n).length - 1;
      text.textContent = `${n} ${title.length > room ? `…${title.slice(1 - room)}` : title}`;
      group.append(tip, svgElement('rect', { width: String(boxWidth), height: String(boxHeight), rx: '3' }), text);
      group.addEventListener('click', () => this.choose(n));
      group.addEventListener('keydown', ({ key }) => {
        if (key === 'Enter' || key === ' ') this.choose(n);
      });
      return group;
    });
    this.svg.replaceChildren(this.svg.firstElementChild!, ...paths, ...this.boxes);
    if (this.chosen !== blocks[chosen]?.title) this.svg.parentElement?.scrollTo({ top: top(chosen) - 100 });
    this.chosen = blocks[chosen]?.title;
  }

  /** Step of the heat margin for a block. */
  heat(block: number, step: number): void {
    const box = this.boxes[block] as SVGGElement | undefined;
    if (box) setAttribute(box, 'data-heat', String(step));
  }
}
