/**
 * The control-flow graph of a region: single-entry, blocks in reverse postorder, with dominators, loop headers and merge points, as structured
 * control flow needs them (Ramsey, "Beyond Relooper", ICFP 2022). What would make the graph irreducible is told, so that those edges can be led
 * another way (region-shape.ts).
 */

/** Blocks by number. `successors[b]` may name a block more than once. */
export interface RegionGraph {
  /** Reachable blocks in reverse postorder; the entry comes first. */
  readonly order: readonly number[];
  /** Position of a block in {@link order}, or -1. */
  readonly position: readonly number[];
  /** Immediate dominator of each block; the entry is its own. */
  readonly dominator: readonly number[];
  /** Blocks that a block immediately dominates, in reverse postorder. */
  readonly dominated: readonly (readonly number[])[];
  readonly loopHeader: readonly boolean[];
  /** How many loops a block is in. */
  readonly depth: readonly number[];
  /** Reached by two or more forward edges (an edge that stands twice counts twice). */
  readonly merge: readonly boolean[];
  /** Edges into the middle of a loop: the graph is reducible when there are none. */
  readonly irreducible: readonly { readonly from: number; readonly to: number }[];
}

/** True when the edge goes back to a block that stands before its source or is the source. */
export function isBackward(graph: RegionGraph, from: number, to: number): boolean {
  return graph.position[to] <= graph.position[from];
}

export function analyze(successors: readonly (readonly number[])[], entry = 0): RegionGraph {
  const count = successors.length;
  const order = reversePostorder(successors, entry);
  const position = new Array<number>(count).fill(-1);
  order.forEach((block, at) => { position[block] = at; });
  const predecessors: number[][] = Array.from({ length: count }, () => []);
  for (const block of order) for (const to of successors[block]) predecessors[to].push(block);

  const parent = immediateDominators(order, position, predecessors);
  const dominates = (a: number, b: number): boolean => {
    let at = b;
    while (position[at] > position[a]) at = parent[at];
    return at === a;
  };
  const dominated: number[][] = Array.from({ length: count }, () => []);
  for (const block of order.slice(1)) dominated[parent[block]].push(block);
  const loopHeader = new Array<boolean>(count).fill(false);
  const forward = new Array<number>(count).fill(0);
  const irreducible: { from: number; to: number }[] = [];
  for (const from of order) {
    for (const to of successors[from]) {
      if (position[to] > position[from]) forward[to]++;
      else if (dominates(to, from)) loopHeader[to] = true;
      else irreducible.push({ from, to });
    }
  }
  const depth = new Array<number>(count).fill(0);
  for (const header of order) {
    if (!loopHeader[header]) continue;
    const body = new Set([header]);
    const waiting = predecessors[header].filter((from) => position[from] >= position[header] && dominates(header, from));
    for (let block = waiting.pop(); block !== undefined; block = waiting.pop()) {
      if (body.has(block)) continue;
      body.add(block);
      waiting.push(...predecessors[block]);
    }
    for (const block of body) depth[block]++;
  }
  return { order, position, depth, dominator: parent, dominated, loopHeader, merge: forward.map((n) => n > 1), irreducible };
}

function reversePostorder(successors: readonly (readonly number[])[], entry: number): number[] {
  const seen = new Array<boolean>(successors.length).fill(false);
  const postorder: number[] = [];
  const path: { block: number; next: number }[] = [{ block: entry, next: 0 }];
  seen[entry] = true;
  for (let top = path.at(-1); top; top = path.at(-1)) {
    const to = successors[top.block][top.next++] as number | undefined;
    if (to === undefined) {
      postorder.push(top.block);
      path.pop();
    } else if (!seen[to]) {
      seen[to] = true;
      path.push({ block: to, next: 0 });
    }
  }
  return postorder.reverse();
}

/** Cooper, Harvey and Kennedy's iteration. The entry is its own dominator. */
function immediateDominators(order: readonly number[], position: readonly number[], predecessors: readonly (readonly number[])[]): number[] {
  const parent = new Array<number>(position.length).fill(-1);
  parent[order[0]] = order[0];
  const meet = (a: number, b: number): number => {
    let x = a, y = b;
    while (x !== y) {
      while (position[x] > position[y]) x = parent[x];
      while (position[y] > position[x]) y = parent[y];
    }
    return x;
  };
  for (let changed = true; changed;) {
    changed = false;
    for (const block of order.slice(1)) {
      let best = -1;
      for (const from of predecessors[block]) {
        if (parent[from] < 0) continue;
        best = best < 0 ? from : meet(best, from);
      }
      if (parent[block] !== best) {
        parent[block] = best;
        changed = true;
      }
    }
  }
  return parent;
}
