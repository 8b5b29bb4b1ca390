/** What of a text screen changed: runs of cells, so that a webview gets the few hundred bytes that differ and not the whole screen. */
import type { ScreenText } from './messages';
import type { CellRun } from './views';

/** Runs closer than this are sent as one: a run costs about as much as a few cells. */
const joinDistance = 8;

/** Runs of cells of `now` that differ from `before`; one run with everything when the sizes differ or nothing was before. */
export function changedRuns(before: ScreenText | undefined, now: ScreenText): CellRun[] {
  const { cells } = now;
  if (!before || before.columns !== now.columns || before.rows !== now.rows || before.cells.length !== cells.length) return [{ start: 0, cells: cells.slice() }];
  const runs: CellRun[] = [];
  let from = -1, to = -1;
  const close = () => {
    if (from >= 0) runs.push({ start: from, cells: cells.slice(from * 2, to * 2) });
  };
  for (let cell = 0; cell < cells.length / 2; cell++) {
    if (cells[cell * 2] === before.cells[cell * 2] && cells[cell * 2 + 1] === before.cells[cell * 2 + 1]) continue;
    if (from >= 0 && cell - to <= joinDistance) to = cell + 1;
    else {
      close();
      from = cell;
      to = cell + 1;
    }
  }
  close();
  return runs;
}
