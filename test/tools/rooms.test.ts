/** The table of rooms is enforced: wrong imports are found by the rule and by ESLint as `npm run lint` configures it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

interface Rooms {
  rooms: { room: string }[];
  importProblem(from: string, source: string, target: string | undefined, typeOnly: boolean): string | undefined;
}

interface EslintResult {
  messages: { ruleId: string; message: string; line: number }[];
}

/** Lints `text` as if it were the file at `name`, with the project's own configuration. */
function lint(name: string, text: string): EslintResult['messages'] {
  const script = path.resolve('node_modules/eslint/bin/eslint.js');
  const { stdout, stderr } = spawnSync(process.execPath, [
    script, '--stdin', '--stdin-filename', name, '--format', 'json', '--rule', '{"@typescript-eslint/no-unused-vars":"off"}',
  ], { input: text, encoding: 'utf8' });
  assert.notEqual(stdout, '', stderr);
  return (JSON.parse(stdout) as EslintResult[])[0].messages;
}

describe('the table of rooms', () => {
  let table: Rooms;
  before(async () => { table = (await import(pathToFileURL(path.resolve('tools/rooms.mjs')).href)) as Rooms; });

  it('names only folders that exist, and every folder of src/ lies in a room', () => {
    const folders = fs.readdirSync('src').flatMap((name) => (name === 'vmm' ? fs.readdirSync('src/vmm').map((inner) => `vmm/${inner}`) : [name]));
    const known = new Set(table.rooms.map(({ room }) => room));
    assert.deepEqual(folders.filter((name) => !known.has(name)), []);
  });

  const cases: [from: string, source: string, target: string | undefined, typeOnly: boolean, problem: RegExp | undefined][] = [
    ['vmm/decode/a.ts', '../isa/x', 'vmm/isa/x', false, undefined],
    ['vmm/decode/a.ts', './b', 'vmm/decode/b', false, undefined],
    ['vmm/isa/rows/a.ts', '../types', 'vmm/isa/types', false, undefined],
    ['vmm/isa/a.ts', '../decode/b', 'vmm/decode/b', true, /vmm\/isa may not import vmm\/decode; it may import nothing/],
    ['vmm/mmu/a.ts', '../cpu/layout', 'vmm/cpu/layout', false, undefined],
    ['vmm/mmu/a.ts', '../cpu/exceptions', 'vmm/cpu/exceptions', false, /vmm\/mmu may not import vmm\/cpu/],
    ['vmm/machine/a.ts', '../../protocol/messages', 'protocol/messages', true, undefined],
    ['vmm/machine/a.ts', '../../protocol/messages', 'protocol/messages', false, /only types from protocol/],
    ['vmm/devices/a.ts', 'node:fs', undefined, false, /vmm\/devices may not import Node's modules/],
    ['adapter/a.ts', '../vmm/asm/assembler', 'vmm/asm/assembler', false, undefined],
    ['adapter/a.ts', '../vmm/machine/api', 'vmm/machine/api', true, /adapter may not import vmm\/machine/],
    ['adapter/a.ts', 'vscode', undefined, true, /only src\/extension imports 'vscode'/],
    ['worker/node-worker.ts', 'node:worker_threads', undefined, false, undefined],
    ['worker/run.ts', 'node:worker_threads', undefined, false, /also runs in a browser/],
    ['webviews/machine/main.ts', '../../protocol/messages', 'protocol/messages', false, /write `import type`/],
    ['webviews/screen/main.ts', '../../protocol/keys', 'protocol/keys', false, undefined],
    ['cli/main.ts', 'commander', undefined, false, undefined],
    ['cli/main.ts', 'left-pad', undefined, false, /may not import the package 'left-pad'/],
    ['stray.ts', './vmm/isa/x', 'vmm/isa/x', false, /in none of the rooms/],
    ['vmm/isa/a.test.ts', '../decode/b', 'vmm/decode/b', false, undefined],
    ['vmm/isa/a.test.ts', 'vscode', undefined, false, /belongs into test\/vscode/],
  ];
  for (const [from, source, target, typeOnly, problem] of cases) {
    it(`${problem ? 'refuses' : 'allows'} ${typeOnly ? 'import type' : 'import'} '${source}' in ${from}`, () => {
      const found = table.importProblem(from, source, target, typeOnly);
      if (problem) assert.match(found ?? 'no problem', problem);
      else assert.equal(found, undefined);
    });
  }

  it('is what the linter enforces, for every way to import', () => {
    const text = [
      "import { x } from '../../protocol/messages';",
      "export { y } from '../cpu/layout';",
      "export * from '../../symbols/lines';",
      "export type Z = import('vscode').Uri;",
      "export const later = () => import('node:fs');",
      'export const title = document.title;',
      'export const fine = new TextDecoder();',
      '',
    ].join('\n');
    // The contents of an existing file are replaced: type-aware rules lint only files that belong to the project.
    const messages = lint('src/vmm/isa/types.ts', text).filter(({ ruleId }) => ruleId === 'ringside/imports' || ruleId === 'no-undef');
    assert.deepEqual(messages.map(({ line, ruleId }) => [line, ruleId]), [
      [1, 'ringside/imports'], [2, 'ringside/imports'], [3, 'ringside/imports'], [4, 'ringside/imports'], [5, 'ringside/imports'], [6, 'no-undef'],
    ]);
  }).timeout(60_000);
});
