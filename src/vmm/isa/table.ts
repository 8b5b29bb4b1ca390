/** The instruction table: every row of every family, parsed once. */
import { buildTable } from './encoding';
import { arithmetic } from './rows/arithmetic';
import { controlRows } from './rows/control';
import { dataRows } from './rows/data';
import { logicRows } from './rows/logic';
import { stringAndPortRows } from './rows/strings';
import { systemRows } from './rows/system';
import { x87Rows } from './rows/x87';
import type { InstructionTable } from './types';

export const table: InstructionTable = buildTable([...arithmetic, ...logicRows, ...dataRows, ...controlRows, ...stringAndPortRows, ...systemRows, ...x87Rows]);
