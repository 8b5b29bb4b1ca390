/** The commands as rows: package.json's `commands` and `menus` are made of them, and commands.ts implements every id. */

/** Files that a machine can start, for `when` clauses. */
const startable = 'resourceLangId == x86asm || resourceExtname =~ /^\\.(asm|nasm|elf|img|ima|flp|vdi|qcow2|vmdk|iso|bin|exec|mb|kernel)$/i';
/** A machine that can be talked to. */
export const live = 'ringside.machineState == running || ringside.machineState == paused';
const known = 'ringside.machineState';
const assembly = 'editorLangId == x86asm';

export interface CommandRow {
  readonly id: string;
  readonly title: string;
  readonly icon?: string;
  /** When it can be run; always unless given. `false`: only by other parts, never from the palette. */
  readonly when?: string | false;
  /** Menus besides the command palette: menu id, group, and condition. */
  readonly menus?: readonly { readonly menu: string; readonly group: string; readonly when?: string }[];
}

const rows = [
  {
    id: 'run', title: 'Run in the VMM', icon: '$(run)',
    menus: [{ menu: 'explorer/context', group: 'ringside@1', when: startable }, { menu: 'editor/title/run', group: '1_run@1', when: startable }],
  },
  {
    id: 'debug', title: 'Debug in the VMM', icon: '$(debug-alt)',
    menus: [{ menu: 'explorer/context', group: 'ringside@2', when: startable }, { menu: 'editor/title/run', group: '1_run@2', when: startable }],
  },
  { id: 'continue', title: 'Continue', icon: '$(debug-continue)', when: 'ringside.machineState == paused' },
  { id: 'pause', title: 'Pause', icon: '$(debug-pause)', when: 'ringside.machineState == running' },
  { id: 'stepInstruction', title: 'Step One Instruction', icon: '$(debug-step-into)', when: 'ringside.machineState == paused' },
  { id: 'restart', title: 'Restart the Machine', icon: '$(debug-restart)', when: known },
  { id: 'terminate', title: 'Stop the Machine', icon: '$(debug-stop)', when: live },
  { id: 'showMachine', title: 'Show the Machine View', icon: '$(chip)', menus: [{ menu: 'view/title', group: 'navigation@1', when: 'view == ringside.machines' }] },
  { id: 'showScreen', title: 'Show the Screen', icon: '$(device-desktop)', menus: [{ menu: 'view/title', group: 'navigation@2', when: 'view == ringside.machines' }] },
  {
    id: 'showTranslation', title: 'Show Translation', icon: '$(arrow-swap)',
    menus: [
      { menu: 'view/title', group: 'navigation@4', when: 'view == ringside.machines' },
      { menu: 'editor/title', group: 'navigation@9', when: `(${live}) && ${assembly}` },
      { menu: 'debug/toolBar', group: '9_ringside@1', when: 'debugType == ringside' },
    ],
  },
  { id: 'followTranslation', title: 'Follow the Cursor in the Translation View', when: known },
  { id: 'copyTranslation', title: 'Copy Translation as Text', when: known },
  { id: 'focusScreen', title: 'Give the Keyboard to the Guest', when: live },
  { id: 'showSerial', title: 'Show the Serial Terminal', icon: '$(plug)', when: known, menus: [{ menu: 'view/title', group: 'navigation@3', when: 'view == ringside.machines' }] },
  { id: 'typeText', title: 'Type Text on the Guest\'s Keyboard…', when: live },
  { id: 'sendCtrlAltDel', title: 'Send Ctrl+Alt+Del to the Guest', when: live },
  { id: 'saveDisk', title: 'Save Changed Disk As…', when: known },
  { id: 'copyRegisters', title: 'Copy Registers', when: known },
  { id: 'showCounters', title: 'Show Counters as a Table', when: known },
  { id: 'showMemory', title: 'Show Guest Memory…', when: live },
  { id: 'showPageTables', title: 'Show Page Tables…', when: 'ringside.machineState == paused' },
  { id: 'showDisassembly', title: 'Open the Disassembly', when: 'ringside.machineState == paused' },
  { id: 'assemble', title: 'Assemble to a Binary File', when: assembly },
  { id: 'newProgram', title: 'New Boot Sector Program' },
  { id: 'toggleInlineValues', title: 'Toggle Inline Register Values' },
  { id: 'toggleInlayHints', title: 'Toggle Addresses and Bytes in the Source' },
  { id: 'openWalkthrough', title: 'Get Started' },
  { id: 'openSource', title: 'Open Source', when: false },
] as const satisfies readonly CommandRow[];

export type CommandId = (typeof rows)[number]['id'];
export const commandRows: readonly (CommandRow & { readonly id: CommandId })[] = rows;
