import assert from 'node:assert/strict';
import { address, define, seconds, typedText, whole } from './options';

describe('values of options', () => {
  it('are whole numbers with suffixes, in a range', () => {
    const parse = whole(1, 1e12);
    assert.deepEqual(['1', '64', '0x40', '10k', '250M', '2g'].map(parse), [1, 64, 64, 10_000, 250_000_000, 2_000_000_000]);
    for (const wrong of ['', '0', '-1', '1.5', '1e3', '0x', '10kb', '2000g', '99999999999999999999']) assert.throws(() => parse(wrong), /whole number from 1/, wrong);
  });

  it('are addresses of 32 bits', () => {
    assert.deepEqual(['0x7C00', '7c00h', '31744', '0xffffffff'].map(address), [0x7c00, 0x7c00, 0x7c00, 0xffff_ffff]);
    for (const wrong of ['0x100000000', 'c00h', 'x', '-1']) assert.throws(() => address(wrong), /0x7C00/, wrong);
  });

  it('are seconds', () => {
    assert.deepEqual(['1', '0.5'].map(seconds), [1, 0.5]);
    for (const wrong of ['0', '-1', 'x', '1s', '9999999']) assert.throws(() => seconds(wrong), /seconds/, wrong);
  });

  it('are definitions, the last of a name counting', () => {
    assert.deepEqual(define('B=x=y', define('A')), { A: '', B: 'x=y' });
    assert.deepEqual(define('A=2', { A: '1' }), { A: '2' });
    assert.throws(() => define('=1'), /NAME=VALUE/);
  });

  it('are text with escapes', () => {
    assert.equal(typedText('a\\n\\e\\\\'), 'a\n\x1b\\');
    assert.throws(() => typedText('\\q'), /\\q/);
  });
});
