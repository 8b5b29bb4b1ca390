/** Entry of the suite in the Node extension host (VS Code's server and desktop). */
import Mocha from 'mocha';
import { hookConfiguration } from './hook';
import { runAndReport } from './report';

const testTimeoutMs = 60_000;

export async function run(): Promise<void> {
  const { grep } = await hookConfiguration();
  const mocha = new Mocha({ ui: 'bdd', timeout: testTimeoutMs, fgrep: grep });
  mocha.suite.emit('pre-require', globalThis, '', mocha); // defines describe and it before the tests are loaded
  await import('./all');
  await runAndReport((done) => mocha.run(done));
}
