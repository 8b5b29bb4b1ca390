/**
 * The shape of a region's control flow, which WebAssembly has to have structured: a graph with one entry into each loop.
 *
 * A region that is entered at several blocks, or has a loop with several entries, gets a *hall*: a place with no instructions, which leads through
 * *doors* to those blocks. Whoever comes from outside starts in it, and an edge that would enter a loop in its middle goes back to it and on
 * through a door: a local says which. The hall dominates everything, so every such loop is one around the hall.
 */
import { analyze, isBackward, type RegionGraph } from './region-graph';

/** Where a block leads: block numbers; -1 leaves the region. */
export interface BlockEdges {
  /** Where the last instruction jumps, and what comes behind it (or behind the unit). */
  taken: number;
  next: number;
  /** Blocks where an indirect jump, call or return may lead: what it loads is compared with their addresses. */
  targets: number[];
}

export interface RegionShape {
  /** Of the blocks and, as the last one, the hall. */
  readonly graph: RegionGraph;
  /** Number of the hall; -1: there is none, block 0 is where everything begins. */
  readonly hall: number;
  /** Blocks behind the hall; those that are entered from outside come first, in the order of the region's entries. */
  readonly doors: readonly number[];
  /** Blocks that can be reached, in reverse postorder. */
  readonly order: readonly number[];
  /** Blocks to which an edge leads back. */
  readonly loops: readonly boolean[];
  /** The door by which an edge goes, or -1: it goes directly. */
  door(from: number, to: number): number;
  /** Whether the edge goes back: past a place where the region looks at its budget. */
  backward(from: number, to: number): boolean;
}

export function shapeOf(blocks: readonly BlockEdges[], entries: readonly number[]): RegionShape {
  const hall = blocks.length;
  const successors = blocks.map(({ taken, next, targets }) => [taken, next, ...targets].filter((to) => to >= 0));
  const doors = [...entries];
  const led = new Set<number>();
  const door = (from: number, to: number): number => (led.has(from * hall + to) ? doors.indexOf(to) : -1);
  for (;;) {
    const withHall = doors.length > 1 || led.size > 0;
    const graph = withHall ? analyze([...successors.map((all, from) => all.map((to) => (door(from, to) < 0 ? to : hall))), doors], hall) : analyze(successors);
    if (graph.irreducible.length === 0) {
      const backward = (from: number, to: number): boolean => door(from, to) >= 0 || isBackward(graph, from, to);
      const loops = blocks.map(() => false);
      for (const from of graph.order) for (const to of successors[from] ?? []) if (backward(from, to)) loops[to] = true;
      return { graph, hall: withHall ? hall : -1, doors, order: graph.order.filter((block) => block !== hall), loops, door, backward };
    }
    for (const { from, to } of graph.irreducible) {
      led.add(from * hall + to);
      if (!doors.includes(to)) doors.push(to);
    }
  }
}
