/** Guests that are quick enough for every test run; npm run guests has all of them (checks.ts). */
import { readGuest } from '../support/guests';
import { guestChecks } from './checks';

const LIMIT_MILLISECONDS = 300_000;

describe('guests with an operating system', () => {
  for (const { title, files, run } of guestChecks.filter(({ quick }) => quick)) {
    it(title, function () {
      this.timeout(LIMIT_MILLISECONDS);
      run(files.map((name) => readGuest(this, name)));
    });
  }
});
