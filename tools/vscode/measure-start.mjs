// Measures in a real VS Code how long it takes from F5 to the stop at the first guest instruction: node tools/vscode/measure-start.mjs [FILE]
// Prints the starts in milliseconds and writes them as JSON, which `ringside bench --report` understands (artifacts/start-time.json unless told).
import fs from 'node:fs';
import path from 'node:path';
import { build } from '../build.mjs';
import { ensureDependencies } from '../lib/dependencies.mjs';
import { inProject } from '../lib/project.mjs';
import { runVscodeSuite } from './run-suite.mjs';

const file = path.resolve(process.argv[2] ?? inProject('artifacts', 'start-time.json'));
await ensureDependencies();
await build({ groups: ['product', 'start-time'], production: true });
let starts;
const log = (text) => {
  const found = /^start-time (.*)$/.exec(text);
  if (found) starts = JSON.parse(found[1]);
  else console.log(text);
};
await runVscodeSuite('server', { tests: inProject('dist', 'test', 'vscode', 'start-time.js'), log });
if (!starts) {
  console.error('VS Code reported no starts.');
  process.exit(1);
}
fs.mkdirSync(path.dirname(file), { recursive: true });
fs.writeFileSync(file, `${JSON.stringify({ startMilliseconds: starts })}\n`);
console.log(`From F5 to the first guest instruction, milliseconds: ${starts.map((one) => one.toFixed(0)).join(', ')}`);
process.exit(0);
