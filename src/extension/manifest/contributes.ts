/** package.json's `contributes`, `activationEvents` and `capabilities`, made of the rows beside this file and of the adapter's launch attributes. */
import { launchAttributes } from '../../adapter/launch-config';
import { debugType } from '../../protocol/dap';
import { commandRows, live } from './commands';
import { settingRows } from './settings';

/** Languages of other extensions that may claim .asm: breakpoints and F5 work there, too. */
const otherAssemblyLanguages = ['asm', 'nasm', 'asm-intel-x86-generic', 'asm-collection'];
const languages = ['x86asm', ...otherAssemblyLanguages];

function commands(): object[] {
  return commandRows.map(({ id, title, icon, when }) => ({
    command: `ringside.${id}`, title, category: 'Ringside', ...(icon ? { icon } : {}), ...(when ? { enablement: when } : {}),
  }));
}

function menus(): object {
  const byMenu: Record<string, object[]> = {
    commandPalette: commandRows.filter((row) => row.when !== undefined).map((row) => ({ command: `ringside.${row.id}`, when: row.when === false ? 'false' : row.when })),
  };
  for (const row of commandRows) {
    for (const { menu, group, when } of row.menus ?? []) (byMenu[menu] ??= []).push({ command: `ringside.${row.id}`, group, ...(when ? { when } : {}) });
  }
  return byMenu;
}

function configuration(): object {
  const properties = Object.fromEntries(settingRows.map((row) => [`ringside.${row.id}`, {
    type: row.type, default: row.default, ...(row.scope ? { scope: row.scope } : {}), markdownDescription: row.description,
    ...(row.enum ? { enum: row.enum.map(([value]) => value), enumDescriptions: row.enum.map(([, text]) => text) } : {}),
    ...(row.minimum === undefined ? {} : { minimum: row.minimum }), ...(row.maximum === undefined ? {} : { maximum: row.maximum }),
  }]));
  return { title: 'Ringside', properties };
}

const debugSnippets = [
  { label: 'Ringside: assembly file', description: 'Assemble the file in the editor and run it', body: { type: debugType, request: 'launch', name: 'Debug ${fileBasename}', program: '^"\\${file}"', stopOnEntry: true } },
  { label: 'Ringside: disk image', description: 'Boot a floppy or hard disk image', body: { type: debugType, request: 'launch', name: 'Boot ${1:disk.img}', program: '^"\\${workspaceFolder}/${1:disk.img}"' } },
  {
    label: 'Ringside: multiboot kernel', description: 'Start a multiboot ELF kernel with a command line and modules',
    body: { type: debugType, request: 'launch', name: 'Boot ${1:kernel.elf}', program: '^"\\${workspaceFolder}/${1:kernel.elf}"', kernelCommandLine: '${2}', modules: [], memory: 64 },
  },
  {
    label: 'Ringside: Linux kernel', description: 'Boot a bzImage with an initial ramdisk; its shell is in the serial terminal',
    body: {
      type: debugType, request: 'launch', name: 'Boot ${1:vmlinuz}', program: '^"\\${workspaceFolder}/${1:vmlinuz}"', initrd: '^"\\${workspaceFolder}/${2:initrd.img}"',
      kernelCommandLine: 'console=ttyS0', memory: 256,
    },
  },
  {
    label: 'Ringside: flat binary', description: 'Load bytes at an address and run them in real mode',
    body: { type: debugType, request: 'launch', name: 'Run ${1:program.bin}', program: '^"\\${workspaceFolder}/${1:program.bin}"', loadAddress: '0x7C00' },
  },
];

const walkthroughSteps = [
  { id: 'write', title: 'Write a program', description: 'A boot sector is 512 bytes that a PC runs first.\n[New Boot Sector Program](command:ringside.newProgram)', media: 'write', done: ['onCommand:ringside.newProgram', 'onLanguage:x86asm'] },
  { id: 'start', title: 'Press F5', description: 'The source is assembled and runs in a virtual machine inside VS Code. Nothing needs to be installed.\n[Debug in the VMM](command:ringside.debug)', media: 'start', done: ['onCommand:ringside.debug', 'onDebug'] },
  { id: 'step', title: 'Step and watch the registers', description: 'Set a breakpoint beside a line, step with F11, and read what changed beside the source and in the Machine view.\n[Show the Machine View](command:ringside.showMachine)', media: 'step', done: ['onCommand:ringside.showMachine'] },
  { id: 'talk', title: 'Talk to the guest', description: 'The VGA screen takes the keyboard; the serial port is a terminal.\n[Show the Screen](command:ringside.showScreen)', media: 'talk', done: ['onCommand:ringside.showScreen', 'onCommand:ringside.showSerial'] },
  { id: 'count', title: 'See what the monitor does', description: 'Every hidden page fault, translation and chained jump is counted while the guest runs.\n[Show Counters as a Table](command:ringside.showCounters)', media: 'count', done: ['onCommand:ringside.showCounters'] },
];

export function contributes(): Record<string, unknown> {
  return {
    languages: [
      {
        id: 'x86asm', aliases: ['x86 Assembly (NASM)', 'x86asm'], extensions: ['.asm', '.nasm', '.inc'],
        configuration: './syntaxes/language-configuration.json', icon: { light: './media/machine.svg', dark: './media/machine.svg' },
      },
    ],
    grammars: [{ language: 'x86asm', scopeName: 'source.asm.x86.nasm', path: './syntaxes/x86asm.tmLanguage.json' }],
    snippets: [{ language: 'x86asm', path: './syntaxes/snippets.json' }],
    // The minimap would lie over the values that stand behind the lines being stepped.
    configurationDefaults: { '[x86asm]': { 'editor.minimap.enabled': false } },
    breakpoints: languages.map((language) => ({ language })),
    debuggers: [
      {
        type: debugType, label: 'Ringside VMM', languages,
        configurationAttributes: { launch: { required: ['program'], properties: launchAttributes } },
        initialConfigurations: [{ type: debugType, request: 'launch', name: 'Debug in the VMM', program: '${file}', stopOnEntry: true }],
        configurationSnippets: debugSnippets,
      },
    ],
    commands: commands(),
    menus: menus(),
    keybindings: [
      { command: 'ringside.focusScreen', key: 'ctrl+alt+g', when: live },
      { command: 'ringside.stepInstruction', key: 'ctrl+f11', when: 'debugType == ringside && debugState == stopped' },
    ],
    configuration: configuration(),
    viewsContainers: { activitybar: [{ id: 'ringside', title: 'Ringside', icon: 'media/ringside.svg' }] },
    views: {
      ringside: [{ id: 'ringside.machines', name: 'Machines', icon: 'media/ringside.svg' }],
      debug: [{ id: 'ringside.devices', name: 'Devices', when: 'debugType == ringside', icon: 'media/machine.svg' }],
    },
    viewsWelcome: [
      {
        view: 'ringside.machines',
        contents: 'No machine has run yet. Open an assembly source, a kernel or a disk image and press F5.\n[New Boot Sector Program](command:ringside.newProgram)\n'
          + '[Debug the Open File](command:ringside.debug)\n[Get Started](command:ringside.openWalkthrough)',
      },
    ],
    walkthroughs: [
      {
        id: 'start', title: 'Get started with Ringside', description: 'From an empty file to the registers of a running machine.',
        steps: walkthroughSteps.map(({ id, title, description, media, done }) => ({
          id, title, description, media: { markdown: `media/walkthrough/${media}.md` }, completionEvents: done,
        })),
      },
    ],
  };
}

export const activationEvents: readonly string[] = [
  'onDebug', `onDebugResolve:${debugType}`, `onDebugDynamicConfigurations:${debugType}`, 'onWebviewPanel:ringside.machine', 'onWebviewPanel:ringside.screen', 'onWebviewPanel:ringside.translation',
];

export const capabilities: object = {
  untrustedWorkspaces: {
    supported: 'limited',
    description: 'Guests run inside the virtual machine and cannot reach this computer; the nasm program of the workspace\'s settings is not run.',
    restrictedConfigurations: settingRows.filter((row) => row.restricted).map((row) => `ringside.${row.id}`),
  },
  virtualWorkspaces: { supported: true, description: 'Everything works but the external assembler, which needs files on a disk.' },
};
