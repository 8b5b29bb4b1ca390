// ESLint rule: imports follow the table of rooms (tools/rooms.mjs).
import path from 'node:path';
import { inProject } from '../lib/project.mjs';
import { importProblem } from '../rooms.mjs';

const source = inProject('src');

const rule = {
  meta: { type: 'problem', docs: { description: 'Imports follow the table of rooms in tools/rooms.mjs' }, schema: [] },
  create(context) {
    const file = path.relative(source, context.filename).split(path.sep).join('/');
    if (file.startsWith('..')) return {};

    const check = (node, text, typeOnly) => {
      const relative = text.startsWith('.');
      const target = relative ? path.posix.join(path.posix.dirname(file), text) : undefined;
      const problem = importProblem(file, text, target, typeOnly);
      if (problem) context.report({ node, message: problem });
    };

    return {
      ImportDeclaration: (node) => check(node, node.source.value, isTypeOnly(node, node.importKind)),
      ExportNamedDeclaration: (node) => node.source && check(node, node.source.value, isTypeOnly(node, node.exportKind)),
      ExportAllDeclaration: (node) => check(node, node.source.value, node.exportKind === 'type'),
      ImportExpression: (node) => node.source.type === 'Literal' && check(node, String(node.source.value), false),
      TSImportType: (node) => node.source?.type === 'Literal' && check(node, String(node.source.value), true),
    };
  },
};

function isTypeOnly(node, kind) {
  if (kind === 'type') return true;
  return node.specifiers.length > 0 && node.specifiers.every((one) => one.importKind === 'type' || one.exportKind === 'type');
}

export const roomsPlugin = { rules: { imports: rule } };
