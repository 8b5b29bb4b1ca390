/** Where the boxes and arcs of a control-flow graph go: blocks below each other, arcs that lead down on the right, those that lead back up on the left. */

export interface GraphEdge {
  readonly from: number;
  readonly to: number;
}
export interface Arc {
  /** Index of the edge. */
  readonly edge: number;
  readonly side: 'straight' | 'right' | 'left';
  /** Distance from the boxes, counted from 0: arcs that overlap lie in different lanes. */
  readonly lane: number;
}
export interface GraphLayout {
  readonly arcs: readonly Arc[];
  readonly leftLanes: number;
  readonly rightLanes: number;
}

/** Arcs farther out than this would be a thicket: the outermost lane is shared. */
const LANES_MAX = 12;

export function layOut(edges: readonly GraphEdge[]): GraphLayout {
  const arcs: Arc[] = [];
  const lanes: Record<'left' | 'right', { first: number; last: number }[][]> = { left: [], right: [] };
  const place = (side: 'left' | 'right', first: number, last: number): number => {
    const free = lanes[side].findIndex((taken) => taken.every((span) => last < span.first || first > span.last));
    const lane = free >= 0 ? free : Math.min(lanes[side].length, LANES_MAX - 1);
    (lanes[side][lane] ??= []).push({ first, last });
    return lane;
  };
  // Short arcs first: they lie closest.
  const order = edges.map((_, n) => n).sort((a, b) => Math.abs(edges[a].to - edges[a].from) - Math.abs(edges[b].to - edges[b].from));
  const straight = new Set<number>();
  for (const n of order) {
    const { from, to } = edges[n];
    if (to === from + 1 && !straight.has(from)) {
      straight.add(from);
      arcs.push({ edge: n, side: 'straight', lane: 0 });
    } else {
      const side = to > from ? 'right' : 'left';
      arcs.push({ edge: n, side, lane: place(side, Math.min(from, to), Math.max(from, to)) });
    }
  }
  return { arcs: arcs.sort((a, b) => a.edge - b.edge), leftLanes: lanes.left.length, rightLanes: lanes.right.length };
}
