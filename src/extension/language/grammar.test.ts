/** RINGSIDE_UPDATE=1 npm run test:unit -- grammar   writes syntaxes/x86asm.tmLanguage.json anew after a change of the instruction table. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { table } from '../../vmm/isa/table';
import { directiveNames } from '../../vmm/asm/statement';
import { buildGrammar } from './grammar';
import { dataDirectives, directives, operators, prefixes, preprocessorDirectives, registerHelp, registerNames } from './vocabulary';

const file = path.join(process.cwd(), 'syntaxes', 'x86asm.tmLanguage.json');

interface Pattern { readonly name?: string; readonly match?: string; readonly include?: string; readonly patterns?: Pattern[] }

describe('grammar', () => {
  const text = `${JSON.stringify(buildGrammar(table), undefined, 2)}\n`;

  it('in syntaxes/ is the one that the instruction table gives', () => {
    if (process.env.RINGSIDE_UPDATE) fs.writeFileSync(file, text);
    assert.equal(fs.readFileSync(file, 'utf8'), text, 'run: RINGSIDE_UPDATE=1 npm run test:unit -- grammar');
  });

  it('names every mnemonic and alias as one, and no word of another kind', () => {
    const { repository } = buildGrammar(table) as { repository: Record<string, { patterns: Pattern[] }> };
    // TextMate's (?i) is no JavaScript: strip it and use the flag.
    const matchers = repository.mnemonic.patterns.map((p) => new RegExp(p.match!.replace('(?i)', ''), 'i'));
    const isMnemonic = (word: string) => matchers.some((matcher) => matcher.exec(`\t${word} `)?.[0] === word);
    assert.deepEqual([...table.byMnemonic.keys()].filter((name) => !isMnemonic(name)), []);
    for (const word of ['label', 'mova', 'amov', '.add', 'add.x', 'eax', 'db']) assert.equal(isMnemonic(word), false, word);
  });

  it('has patterns that compile, and includes that exist', () => {
    const grammar = buildGrammar(table) as { patterns: Pattern[]; repository: Record<string, { patterns: Pattern[] }> };
    const visit = (pattern: Pattern): void => {
      if (pattern.match) new RegExp(pattern.match.replaceAll('(?i)', ''), 'i');
      if (pattern.include) assert.ok(grammar.repository[pattern.include.slice(1)], pattern.include);
      pattern.patterns?.forEach(visit);
    };
    [...grammar.patterns, ...Object.values(grammar.repository).flatMap((entry) => entry.patterns)].forEach(visit);
  });
});

describe('vocabulary', () => {
  it('covers the assembler\'s directives and registers', () => {
    const names = new Set(directives.map((d) => d.name));
    assert.deepEqual([...directiveNames].filter((name) => !names.has(name)), []);
    assert.deepEqual(registerNames.filter((name) => !registerHelp(name)), []);
    assert.equal(registerHelp('AH'), 'Bits 8–15 of EAX (accumulator)');
    assert.equal(registerHelp('sp'), 'Low half of ESP (stack pointer)');
    assert.equal(registerHelp('bx'), 'Low half of EBX (base)');
  });

  it('has no word twice', () => {
    const all = [...dataDirectives, ...directives, ...operators, ...prefixes, ...preprocessorDirectives].map((w) => w.name);
    assert.deepEqual(all.filter((name, i) => all.indexOf(name) !== i), []);
  });
});
