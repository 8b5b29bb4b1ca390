/** Prints each test as it ends and hands the counts to the launcher, the same way in both extension hosts. */
import { hook, PageUnavailable } from './hook';

/** The part of a mocha runner that is used; mocha's Node and browser builds share it. */
interface Runner {
  on(event: 'pass' | 'pending', listener: (test: Titled) => void): unknown;
  on(event: 'fail', listener: (test: Titled, error: Error) => void): unknown;
}

interface Titled {
  fullTitle(): string;
  duration?: number;
}

/** Starts the run and settles when it has ended and been reported: rejected when a test failed, as VS Code expects it. */
export async function runAndReport(start: (done: (failures: number) => void) => Runner): Promise<void> {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  let printed: Promise<unknown> = Promise.resolve();
  const print = (text: string) => {
    printed = printed.then(() => hook.print(text));
  };
  await new Promise<void>((resolve) => {
    const runner = start(() => resolve());
    runner.on('pass', (test) => {
      counts.passed++;
      print(`  ✔ ${test.fullTitle()} (${test.duration ?? 0} ms)`);
    });
    runner.on('pending', (test) => {
      counts.skipped++;
      print(`  - ${test.fullTitle()}`);
    });
    runner.on('fail', (test, error) => {
      if (error instanceof PageUnavailable) {
        counts.skipped++;
        print(`  - ${test.fullTitle()}: ${error.message}`);
        return;
      }
      counts.failed++;
      print(`  ✘ ${test.fullTitle()}\n${error.stack ?? error.message}`);
    });
  });
  await printed;
  await hook.results(counts);
  if (counts.failed > 0) throw new Error(`${counts.failed} failed`);
}
