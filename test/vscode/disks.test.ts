/** Disks in VS Code: images that name files beside them, what the guest changes written back or saved by the command. */
import * as vscode from 'vscode';
import { assembleBuiltin } from '../../src/adapter/builtin-assembler';
import { openDisk } from '../../src/vmm/machine/images/open';
import { writingSource } from '../support/writing-guest';
import { equal, eventually, ok } from './check';
import { api, endAll, folder } from './session';

const SECTORS = 64;

describe('disks', () => {
  const uri = (name: string): vscode.Uri => vscode.Uri.joinPath(folder(), 'disks', name);
  const read = async (name: string): Promise<Uint8Array> => vscode.workspace.fs.readFile(uri(name));
  const ninth = (file: string, bytes: Uint8Array): number => openDisk({ file, bytes }).disk.read(9, 1)[0];
  const start = async (program: string, more: object = {}): Promise<void> => {
    ok(await vscode.debug.startDebugging(vscode.workspace.workspaceFolders![0], { type: 'ringside', request: 'launch', name: program, program: `\${workspaceFolder}/disks/${program}`, ...more }), 'the launch configuration starts');
  };
  const image = async (then?: string): Promise<Uint8Array> => {
    const bytes = new Uint8Array(SECTORS * 512);
    bytes.set((await assembleBuiltin('writer.asm', { readFile: () => Promise.resolve(new TextEncoder().encode(writingSource(then))) })).image);
    return bytes;
  };

  before(async () => {
    await api();
    const files = {
      'flat.img': await image(), 'endless-flat.vmdk': await image('jmp $'),
      'endless.vmdk': new TextEncoder().encode(`# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="monolithicFlat"\n\nRW ${SECTORS} FLAT "endless-flat.vmdk" 0\n`),
    };
    for (const [name, bytes] of Object.entries(files)) await vscode.workspace.fs.writeFile(uri(name), bytes);
  });
  afterEach(endAll);

  it('are written back at the end of the session when the launch configuration says so', async () => {
    await start('flat.img');
    await eventually('the session ends', () => vscode.debug.activeDebugSession === undefined);
    equal(ninth('flat.img', await read('flat.img')), 0, 'not without being told');
    await start('flat.img', { writeBack: true });
    await eventually('the file is written', async () => ninth('flat.img', await read('flat.img')) === 0x42);
    await eventually('nothing else is left', async () => (await vscode.workspace.fs.readDirectory(uri('.'))).every(([name]) => !name.includes('.new')));
  });

  it('of several files start, and are saved as one by the command', async () => {
    const ringside = await api();
    await start('endless.vmdk');
    await eventually('the guest runs', () => ringside.machineModel().state === 'running');
    const session = vscode.debug.activeDebugSession!;
    await eventually('the guest has written', async () => (await session.customRequest('ringside/disks') as { disks: { changed: boolean }[] }).disks[0]?.changed === true);
    for (const name of ['saved.img', 'saved.vdi']) {
      await vscode.commands.executeCommand('ringside.saveDisk', { drive: 'image', target: uri(name) });
      equal(ninth(name, await read(name)), 0x42, name);
    }
    equal(openDisk({ file: 'saved.vdi', bytes: await read('saved.vdi') }).format, 'vdi');
  });
});
