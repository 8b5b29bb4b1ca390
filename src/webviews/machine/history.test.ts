import assert from 'node:assert/strict';
import { CounterHistory, formatRate, groupDigits, plotPoints } from './history';

const sample = (hostMilliseconds: number, instructions: number) => ({ hostMilliseconds, values: { instructions } });

describe('counter history', () => {
  it('gives increments per second between samples', () => {
    const history = new CounterHistory();
    [sample(0, 0), sample(100, 1000), sample(300, 1000)].forEach((s) => history.add(s));
    assert.deepEqual(history.rates('instructions'), [{ atMilliseconds: 100, perSecond: 10_000 }, { atMilliseconds: 300, perSecond: 0 }]);
    assert.deepEqual(history.rates('unknown').map((r) => r.perSecond), [0, 0]);
  });

  it('gives no rates over the microseconds of single steps', () => {
    const history = new CounterHistory();
    for (let step = 0; step < 20; step++) history.add(sample(step * 0.3, step));
    assert.deepEqual(history.rates('instructions'), []);
    history.add(sample(100, 1000));
    assert.equal(history.rates('instructions').length, 1);
    history.add(sample(100.3, 1001));
    history.add(sample(200, 2000));
    assert.deepEqual(history.rates('instructions').map((rate) => Math.round(rate.perSecond)), [10_000, 10_000]);
  });

  it('forgets what was before a restart, and does not grow', () => {
    const history = new CounterHistory(3);
    for (let i = 0; i < 10; i++) history.add(sample(i * 100, i));
    assert.equal(history.rates('instructions').length, 2);
    assert.equal(history.last?.values.instructions, 9);
    history.add(sample(5, 1));
    assert.equal(history.rates('instructions').length, 0);
  });

  it('fits the plot into its box', () => {
    const rates = [{ atMilliseconds: 100, perSecond: 0 }, { atMilliseconds: 200, perSecond: 50 }, { atMilliseconds: 300, perSecond: 100 }];
    assert.equal(plotPoints(rates, 200, 40), '0.0,40.0 100.0,20.0 200.0,0.0');
    assert.equal(plotPoints(rates.slice(0, 1), 200, 40), '');
    assert.match(plotPoints(rates.map((r) => ({ ...r, perSecond: 0 })), 200, 40), /^0\.0,40\.0 /);
  });

  it('writes numbers for people', () => {
    assert.equal(groupDigits(1234567), '1\u202f234\u202f567');
    assert.deepEqual([0, 0.5, 12, 1500, 2.5e8].map(formatRate), ['0 /s', '0.5 /s', '12 /s', '1.50 k/s', '250 M/s']);
  });
});
