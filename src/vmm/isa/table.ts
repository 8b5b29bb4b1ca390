/** The instruction table: every row of every family, parsed once. */
import { buildTable } from './encoding';
import { arithmetic } from './rows/arithmetic';
import { controlRows } from './rows/control';
import { dataRows } from './rows/data';
import { logicRows } from './rows/logic';
import { stringAndPortRows } from './rows/strings';
import { packedRows } from './rows/packed';
import { sse4Rows } from './rows/sse4';
import { sseConvertRows } from './rows/sse-convert';
import { sseFloatRows } from './rows/sse-float';
import { systemRows } from './rows/system';
import { vectorMoveRows } from './rows/vector-moves';
import { x87Rows } from './rows/x87';
import type { InstructionSpec, InstructionTable } from './types';

/** Instructions on MMX and XMM registers. */
export const vectorRows: readonly InstructionSpec[] = [...vectorMoveRows, ...packedRows, ...sseFloatRows, ...sseConvertRows, ...sse4Rows];

export const table: InstructionTable = buildTable([...arithmetic, ...logicRows, ...dataRows, ...controlRows, ...stringAndPortRows, ...systemRows, ...x87Rows,
  ...vectorRows,
]);
