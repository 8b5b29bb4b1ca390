/** Entry of the suite in the web extension host, as on vscode.dev. */
import 'mocha/mocha.js';
import { hookConfiguration } from './hook';
import { runAndReport } from './report';

const testTimeoutMs = 60_000;

export async function run(): Promise<void> {
  const { grep } = await hookConfiguration();
  mocha.setup({ ui: 'bdd', timeout: testTimeoutMs, fgrep: grep, reporter: class {} as unknown as Mocha.ReporterConstructor });
  await import('./all');
  await runAndReport((done) => mocha.run(done));
}
