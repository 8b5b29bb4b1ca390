/** The settings as rows: package.json's `configuration` is made of them. */

export interface SettingRow {
  /** Behind `ringside.`. */
  readonly id: string;
  readonly type: 'boolean' | 'string' | 'integer';
  readonly default: boolean | string | number;
  readonly description: string;
  readonly enum?: readonly (readonly [value: string, description: string])[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly scope?: 'machine-overridable' | 'resource';
  /** Not taken from a workspace that is not trusted. */
  readonly restricted?: boolean;
}

export const settingRows: readonly SettingRow[] = [
  {
    id: 'assembler', type: 'string', default: 'builtin', scope: 'resource', restricted: true, description: 'Who assembles sources, for F5 and for the Problems panel.',
    enum: [['builtin', 'The built-in assembler in NASM syntax. Needs nothing installed.'], ['nasm', 'The nasm program (see `ringside.nasmPath`). Not in the browser.']],
  },
  { id: 'nasmPath', type: 'string', default: 'nasm', scope: 'machine-overridable', restricted: true, description: 'The nasm program, used when `ringside.assembler` is `nasm`.' },
  { id: 'diagnostics.enabled', type: 'boolean', default: true, scope: 'resource', description: 'Assemble sources while they are edited and show the messages in the Problems panel.' },
  { id: 'inlineValues.enabled', type: 'boolean', default: true, scope: 'resource', description: 'Show beside each line that is stepped the registers and flags that it reads and writes.' },
  {
    id: 'inlayHints', type: 'string', default: 'addressesAndBytes', scope: 'resource', description: 'What stands before each line of assembly.',
    enum: [['off', 'Nothing.'], ['addresses', 'The address of the line.'], ['addressesAndBytes', 'The address and the bytes of the line.']],
  },
  {
    id: 'machineView.reveal', type: 'string', default: 'onStart', description: 'When the Machine view opens beside the source.',
    enum: [['onStart', 'When a machine starts.'], ['never', 'Only by command.']],
  },
  {
    id: 'screen.reveal', type: 'string', default: 'onOutput', description: 'When the screen opens.',
    enum: [['onOutput', 'When the guest shows text.'], ['onStart', 'When a machine starts.'], ['never', 'Only by command.']],
  },
  {
    id: 'serial.reveal', type: 'string', default: 'onOutput', description: 'When the serial terminal opens.',
    enum: [['onOutput', 'When the guest writes to COM1.'], ['onStart', 'When a machine starts.'], ['never', 'Only by command.']],
  },
  { id: 'memory', type: 'integer', default: 32, minimum: 1, maximum: 2048, scope: 'resource', description: 'Guest memory in MiB, unless launch.json says otherwise.' },
];
