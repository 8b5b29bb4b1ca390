// The rooms of src/ and what each may import: the design's table as data. ESLint enforces it (tools/eslint/rooms-rule.mjs).
//
//   room        folder below src/; the longest one that contains a file is the file's room
//   mayImport   rooms whose code it may import; a name ending in /** stands for every room below that folder
//   types       rooms from which it may only `import type`: shapes of data, no code
//   files       single files (without extension) of other rooms that it may import
//   platform    'none': neither Node nor the DOM, runs unchanged anywhere
//               'any':  runs in Node and in a browser; only the files that say so in their name (node.ts, node-*.ts, *-node.ts, node/) import Node
//               'node' or 'browser': only there
//   globals     with platform 'none': what it uses beyond the universal globals below
//   packages    npm packages it may import at run time
//
// Tests (*.test.ts) may import any room: they look at pieces from outside.

const everyVmm = ['vmm/**'];

export const rooms = [
  { room: 'vmm/isa', mayImport: [], platform: 'none' },
  { room: 'vmm/decode', mayImport: ['vmm/isa'], platform: 'none' },
  { room: 'vmm/asm', mayImport: ['vmm/isa'], platform: 'none' },
  { room: 'vmm/wasm', mayImport: [], platform: 'none' },
  { room: 'vmm/mmu', mayImport: [], files: ['vmm/cpu/layout', 'vmm/cpu/counters'], platform: 'none' },
  { room: 'vmm/cpu', mayImport: ['vmm/isa', 'vmm/mmu'], platform: 'none' },
  { room: 'vmm/translate', mayImport: ['vmm/isa', 'vmm/decode', 'vmm/wasm', 'vmm/mmu', 'vmm/cpu'], platform: 'none' },
  { room: 'vmm/vt', mayImport: ['vmm/cpu', 'vmm/mmu'], platform: 'none' },
  {
    room: 'vmm/monitor', platform: 'none',
    mayImport: ['vmm/isa', 'vmm/decode', 'vmm/asm', 'vmm/wasm', 'vmm/mmu', 'vmm/cpu', 'vmm/translate', 'vmm/vt'],
  },
  { room: 'vmm/devices', mayImport: [], platform: 'none' },
  { room: 'vmm/network', mayImport: [], platform: 'none' },
  { room: 'vmm/machine', mayImport: everyVmm, types: ['protocol'], platform: 'none' },
  { room: 'symbols', mayImport: [], platform: 'none' },
  { room: 'protocol', mayImport: [], platform: 'none', globals: ['structuredClone', 'queueMicrotask', 'atob', 'btoa'] },
  { room: 'worker', mayImport: [...everyVmm, 'protocol'], platform: 'any' },
  // The adapter turns an .asm file into the image that it launches: of the VMM it sees the assembler and nothing else.
  {
    room: 'adapter', mayImport: ['protocol', 'symbols', 'vmm/asm'], files: ['vmm/machine/images/open'], // which other files an image needs
    platform: 'any', packages: ['@vscode/debugadapter', '@vscode/debugprotocol'],
  },
  // Language features (hovers, completion, disassembly text) come from the instruction table and its two readers.
  {
    room: 'extension', mayImport: ['adapter', 'protocol', 'vmm/asm', 'vmm/decode', 'vmm/isa'], platform: 'any',
    files: ['worker/launch-node', 'worker/launch-browser', 'worker/spare-worker'], // how a worker is started is the worker's own affair
    packages: ['vscode', '@vscode/debugadapter', '@vscode/debugprotocol'],
  },
  // Views share two tables with the machine's side: which key sends which code, which byte shows which character.
  { room: 'webviews', mayImport: [], types: ['protocol'], files: ['protocol/keys', 'protocol/codepage437'], platform: 'browser' },
  // How much of a guest runs at a time, and how it reaches the network, are questions with one answer in a worker and in a terminal. v86 is the benchmark's peer.
  { room: 'cli', mayImport: [...everyVmm, 'protocol', 'symbols'], files: ['worker/pacer', 'worker/node-network', 'worker/node-compiler'], platform: 'node', packages: ['commander', 'v86'] },
];

/** What code of a room with platform 'none' may use beyond the language itself: both Node and browsers have it, and it has no side effects. */
export const universalGlobals = ['WebAssembly', 'TextEncoder', 'TextDecoder'];

/** The room that a path below src/ (with / between its parts) lies in. */
export function roomOf(pathInSource) {
  return rooms.filter(({ room }) => pathInSource.startsWith(`${room}/`)).sort((a, b) => b.room.length - a.room.length)[0];
}

/**
 * Why an import is wrong, or undefined when it is right.
 * @param {string} from path of the importing file below src/
 * @param {string} source the import's text: './x', 'vscode', 'node:fs', …
 * @param {string | undefined} target path below src/ that a relative import means
 * @param {boolean} typeOnly
 */
export function importProblem(from, source, target, typeOnly) {
  if (/\.test\.ts$/.test(from)) return source === 'vscode' ? "only src/extension imports 'vscode'; a test that needs it belongs into test/vscode" : undefined;
  const room = roomOf(from);
  if (!room) return `${from} is in none of the rooms; every file below src/ belongs to one (tools/rooms.mjs)`;
  return target === undefined ? packageProblem(room, from, source, typeOnly) : roomProblem(room, target, typeOnly);
}

function roomProblem(room, target, typeOnly) {
  if (room.files?.includes(target.replace(/\.ts$/, ''))) return undefined;
  const other = roomOf(target);
  if (!other) return `${target} is in none of the rooms (tools/rooms.mjs)`;
  if (other === room || matches(room.mayImport, other.room)) return undefined;
  if (matches(room.types ?? [], other.room)) {
    return typeOnly ? undefined : `${room.room} may import only types from ${other.room}: write \`import type\``;
  }
  const allowed = [...room.mayImport, ...(room.types ?? []).map((name) => `${name} (types)`), ...(room.files ?? [])];
  return `${room.room} may not import ${other.room}; it may import ${allowed.length > 0 ? allowed.join(', ') : 'nothing'} (tools/rooms.mjs)`;
}

function packageProblem(room, from, source, typeOnly) {
  if (source === 'vscode' && room.room !== 'extension') return "only src/extension imports 'vscode'";
  if (source.startsWith('node:')) {
    if (room.platform === 'node') return undefined;
    if (room.platform === 'any') return nodeOnlyFile(from) ? undefined : `${room.room} also runs in a browser: only node.ts, node-*.ts and *-node.ts import Node's modules`;
    return `${room.room} may not import Node's modules: it runs unchanged in ${room.platform === 'browser' ? 'a webview' : 'a browser'}`;
  }
  const name = source.split('/').slice(0, source.startsWith('@') ? 2 : 1).join('/');
  if (room.packages?.includes(name)) return undefined;
  return `${room.room} may not import the package '${name}'${typeOnly ? ', not even its types' : ''}; `
    + `it may import ${room.packages?.join(', ') ?? 'none'} (Node's modules are written node:${name})`;
}

function nodeOnlyFile(file) {
  return /(^|\/)(node|node-[^/]*|[^/]*-node)\.ts$/.test(file) || file.includes('/node/');
}

function matches(list, room) {
  return list.some((name) => name === room || (name.endsWith('/**') && room.startsWith(name.slice(0, -2))));
}
