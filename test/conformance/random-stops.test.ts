/** Guests of which every instruction counts, stopped anywhere: `npm run guests` does the same with more stops, and with Linux. */
import { compareKernels } from '../support/random-stops';

const LIMIT_MILLISECONDS = 300_000;

describe('a run that is stopped at any instruction count', function () {
  this.timeout(LIMIT_MILLISECONDS);

  it('leaves the same state in threaded code, with regions, with regions at once, and with regions that come and go: the benchmark\'s kernels', () => {
    compareKernels({ seed: 4711, stops: 15, longest: 60_000, wholeEvery: 15 });
  });
});
