/**
 * The typed messages between a machine (in its worker) and everything that looks at it: debug adapter, views, command line, tests.
 * All values survive structured cloning. Addresses are plain numbers (up to 2^53); registers wider than that travel as bigint.
 */
import type { HotCodeSample, TranslatedCode } from './translated-code';

/** 'linux64' enters a Linux kernel by its 64-bit entry; 'auto' and 'linux' take the 32-bit one, which every x86 kernel has. */
export type BootKind = 'auto' | 'disk' | 'cdrom' | 'flat' | 'multiboot' | 'multiboot2' | 'linux' | 'linux64' | 'pvh';

/** Everything that a machine needs to start. Files travel as bytes: a worker in a browser has no file system. */
export interface MachineConfiguration {
  /** Name of the program for messages ("hello.asm"). */
  readonly name: string;
  readonly image: Uint8Array;
  readonly boot: BootKind;
  /** Load address and entry for `flat` images; the default is the boot-sector convention 0x7C00, in real mode. */
  readonly loadAddress?: number;
  readonly entry?: number;
  readonly memoryMiB: number;
  readonly mmu: 'shadow';
  /**
   * How guest code runs. 'adaptive' (the default): threaded code, and regions for what is hot. 'threaded': threaded code alone. 'eager' and
   * 'random' make regions at once, or now and then: the guest cannot tell, only the time it takes differs.
   */
  readonly translation?: 'adaptive' | 'threaded' | 'eager' | 'random';
  readonly commandLine?: string;
  readonly modules?: readonly NamedFile[];
  readonly floppy?: Uint8Array;
  /** Raw, VDI, qcow2 or VMDK. */
  readonly hardDisk?: Uint8Array;
  /** What the first hard disk's image is a difference to, instead of the file that it names. */
  readonly hardDiskBacking?: Uint8Array;
  /** Files that images name, found beside them: extents of a VMDK disk, backing files. */
  readonly imageParts?: Readonly<Partial<Record<ImageField, readonly NamedFile[]>>>;
  /** Second hard disk, as the first. */
  readonly secondDisk?: Uint8Array;
  /** Disks of the virtio bus, formats as for hard disks; at most 8. To the BIOS they are hard disks behind the others. */
  readonly virtioDisks?: readonly Uint8Array[];
  /** A virtio console: serial port 4. */
  readonly virtioConsole?: boolean;
  readonly sharedFolder?: SharedFolder;
  /** A network card, and what it reaches: the host's loopback interface (as 10.0.2.2), or whatever the host reaches. 'none', the default: no card. */
  readonly network?: 'none' | 'loopback' | 'internet';
  /** ISO 9660 image in the CD drive. */
  readonly cdrom?: Uint8Array;
  /** Initial ramdisk of a Linux kernel. */
  readonly initrd?: Uint8Array;
  /** Number of virtual processors, 1 to 8. */
  readonly processors?: number;
  /** A name of the processor models (vmm/cpu/models/models.ts). */
  readonly cpuModel?: string;
  /** A BIOS image that takes the place of the built-in one, and a VGA BIOS for it. */
  readonly bios?: Uint8Array;
  readonly vgaBios?: Uint8Array;
  /** Every entry through the IDT clears VIF and VIP (see Cpu.clearVirtualInterruptFlagOnEntry). */
  readonly clearVirtualInterruptFlagOnEntry?: boolean;
  /** Virtual instructions per second of the machine's clock. */
  readonly instructionsPerSecond?: number;
  /** 'realtime': virtual time never runs ahead of the wall clock (interactive use). 'max': as fast as it goes, HLT skips to the next event. */
  readonly pace: 'realtime' | 'max';
  /** Start date for the RTC, seconds since 1970; fixed by default so that runs repeat. */
  readonly rtcSeconds?: number;
  readonly stopOnEntry?: boolean;
  readonly maxInstructions?: number;
}

export interface NamedFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Where a configuration has disk images. */
export type ImageField = 'image' | 'floppy' | 'hardDisk' | 'hardDiskBacking' | 'secondDisk' | `virtioDisks[${number}]`;

/** A drive whose contents a guest can change, by where the configuration has its image. */
export type WritableDrive = Exclude<ImageField, 'hardDiskBacking'>;

export interface DriveSummary {
  readonly drive: WritableDrive;
  readonly format: 'raw' | 'vdi' | 'qcow2' | 'vmdk';
  /** The image can be written back in its own format. */
  readonly writable: boolean;
  /** The guest has written to it. */
  readonly changed: boolean;
}

export type DiskSaveFormat = 'raw' | 'vdi';

/** A folder that a guest mounts by its tag (9P over virtio). It is a snapshot: what the guest changes stays in the machine. */
export interface SharedFolder {
  readonly tag: string;
  /** Paths with slashes, relative to the folder; without bytes a folder. `mode`: permission bits; `modified`: seconds since 1970. */
  readonly files: readonly { readonly path: string; readonly bytes?: Uint8Array; readonly mode?: number; readonly modified?: number }[];
}

export type RunState = 'created' | 'running' | 'paused' | 'ended';

export type StopReason =
  | { readonly kind: 'entry' | 'pause' | 'step' }
  | { readonly kind: 'breakpoint'; readonly ids: readonly number[] }
  | { readonly kind: 'dataBreakpoint'; readonly address: number }
  /** An exception that the user asked to see. EIP is at the faulting instruction, the guest's handler has not begun. */
  | { readonly kind: 'exception'; readonly vector: number; readonly name: string; readonly errorCode?: number; readonly address?: number };

export type EndReason =
  /** Guest wrote the debug-exit port; status = value * 2 + 1. */
  | { readonly kind: 'debugExit'; readonly status: number }
  /** HLT with interrupts off and nothing that could wake it. */
  | { readonly kind: 'halted' }
  | { readonly kind: 'powerOff' }
  | { readonly kind: 'tripleFault'; readonly postMortem: PostMortem }
  | { readonly kind: 'instructionLimit' }
  | { readonly kind: 'terminated' }
  /** The monitor itself failed: a defect of Ringside, reported with its stack. */
  | { readonly kind: 'internalError'; readonly message: string };

/** Why a guest died, in words and data. */
export interface PostMortem {
  /** The faults in order (first fault, fault while delivering it, …): one sentence each. */
  readonly chain: readonly { readonly vector: number; readonly name: string; readonly errorCode?: number; readonly eip: number; readonly cs: number; readonly text: string }[];
  /** The IDT or IVT entry that could not be used, described. */
  readonly gate: string;
  readonly registers: RegisterSnapshot;
  /** Most recent control transfers, oldest first (linear addresses). */
  readonly lastBranches: readonly { readonly from: number; readonly to: number }[];
}

export interface SegmentSnapshot {
  readonly selector: number;
  readonly base: number;
  readonly limit: number;
  readonly attributes: number;
}

export interface RegisterSnapshot {
  /** RAX RCX RDX RBX RSP RBP RSI RDI, and R8…R15 in long mode, in the encoding's order. */
  readonly general: readonly bigint[];
  /** EIP; in 64-bit code RIP. Like all linear addresses here a number of 48 bits (addresses.ts). */
  readonly eip: number;
  readonly eflags: number;
  /** ES CS SS DS FS GS LDTR TR. */
  readonly segments: readonly SegmentSnapshot[];
  readonly gdtr: { readonly base: number; readonly limit: number };
  readonly idtr: { readonly base: number; readonly limit: number };
  readonly cr0: number;
  readonly cr2: number;
  readonly cr3: number;
  readonly cr4: number;
  /** In long mode. */
  readonly cr8?: number;
  /** DR0–DR3: -1 for an address that is not canonical. */
  readonly dr: readonly number[];
  readonly efer: number;
  /** The x87; absent when nobody told. */
  readonly fpu?: FpuSnapshot;
  /** XMM0–XMM15, 128 bits each. */
  readonly xmm?: readonly bigint[];
  readonly mxcsr?: number;
  readonly cpl: number;
  /** 'real', 'vm86', 'protected16', 'protected32', 'long'. */
  readonly mode: CpuMode;
  readonly instructions: number;
  /** Whose registers these are, counted from 0; 0 when absent. */
  readonly processor?: number;
}
/** The x87's registers. */
export interface FpuSnapshot {
  /** ST(0)–ST(7), 80 bits each. */
  readonly stack: readonly bigint[];
  readonly control: number;
  /** With TOP. */
  readonly status: number;
  /** Two bits for each physical register: 0 valid, 1 zero, 2 special, 3 empty. */
  readonly tags: number;
}
/** What a virtual processor does, and where: `linear` is the address of its next instruction. */
export interface ProcessorSummary {
  readonly processor: number;
  readonly activity: 'running' | 'halted' | 'waitingForStartUp';
  readonly linear: number;
}
export type CpuMode = 'real' | 'vm86' | 'protected16' | 'protected32' | 'long';

/** A register's name as the user types it: eax, ax, al, ah, eip, eflags, cs, cr0, cs.base, zf … */
export type RegisterName = string;

export interface BreakpointSpec {
  readonly id: number;
  /** Linear address of the instruction. */
  readonly linear: number;
  /** Stop only when the expression is non-zero (see expression.ts). */
  readonly condition?: string;
  /** `N`, `>N`, `>=N`, `%N`. */
  readonly hitCondition?: string;
  /** Print instead of stopping; {expression} is replaced by its value. */
  readonly log?: string;
}

export interface DisassembledInstruction {
  readonly linear: number;
  /** Offset in CS. */
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly text: string;
  /** False for bytes that are no instruction or memory that cannot be read ("??"). */
  readonly valid: boolean;
  /** Control transfer, for stepping. */
  readonly control?: 'jump' | 'condition' | 'call' | 'return' | 'interrupt' | 'interruptReturn' | 'halt';
  readonly repeats?: boolean;
  /** Registers and flags that the instruction reads and writes, by name, for inline values. */
  readonly reads: readonly string[];
  readonly writes: readonly string[];
}

export interface CounterDefinition {
  readonly id: string;
  readonly title: string;
  readonly definition: string;
}
export interface CounterSample {
  readonly values: Readonly<Record<string, number>>;
  /** Milliseconds of host time since the machine started running, pauses excluded. */
  readonly hostMilliseconds: number;
}

/** A device's register as a view shows it; `address` is its port or MMIO offset. */
export interface DeviceRegisterSnapshot {
  readonly address: number;
  /** Number in the register file behind an index and a data port. */
  readonly index?: number;
  /** Width. */
  readonly bits: number;
  readonly name: string;
  readonly description: string;
  /** Bit fields, high to low. */
  readonly fields: readonly { readonly name: string; readonly bit: number; readonly width: number }[];
  /** Absent where there is nothing to show. */
  readonly value?: number;
}
export interface DeviceSnapshot {
  readonly id: string;
  readonly title: string;
  readonly registers: readonly DeviceRegisterSnapshot[];
}

/** The VGA text screen: 80×25 (or as CRTC says) cells of character and attribute. */
export interface ScreenText {
  readonly kind: 'text';
  readonly columns: number;
  readonly rows: number;
  /** columns*rows*2 bytes: character (code page 437), attribute. */
  readonly cells: Uint8Array;
  readonly cursor: { readonly visible: boolean; readonly column: number; readonly row: number };
  /** Sixteen colours, 0xRRGGBB. */
  readonly colours: readonly number[];
  /** Attribute bit 7 blinks instead of making the background bright. */
  readonly blinks: boolean;
  /** Dots of a character. */
  readonly cell: { readonly width: number; readonly height: number };
  /** 32 lines for each of 256 characters (512 when attribute bit 3 chooses another font); absent while the guest uses code page 437's own shapes. */
  readonly font?: Uint8Array;
}

/** Part of a picture, row by row. */
export interface PictureRectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

/** The picture of a graphics mode. */
export interface ScreenGraphics {
  readonly kind: 'graphics';
  /** In words: "640×480, 16 colours". */
  readonly mode: string;
  readonly width: number;
  readonly height: number;
  /** Dots that a pixel is wide and high on the tube. */
  readonly pixelWidth: number;
  readonly pixelHeight: number;
  /** 256 colours, 0xRRGGBB: a pixel is a byte. Without them it is four: red, green, blue, 255. */
  readonly colours?: readonly number[];
  /** In an event: what differs from the screen before, or everything when that had another size or kind of pixels. In an answer: one with everything. */
  readonly rectangles: readonly PictureRectangle[];
}

export type Screen = ScreenText | ScreenGraphics;

export type AddressSpace = 'linear' | 'physical';

/** Rights that the page tables grant. */
export interface PageRights {
  readonly writable: boolean;
  readonly user: boolean;
  readonly executable: boolean;
  /** A page of more than 4 KiB. */
  readonly large: boolean;
}

/** A walk of the guest's page tables, as a person follows it: nothing is set, nothing faults. Without paging there are no levels. */
export interface Translation extends PageRights {
  /** Undefined when the address is not mapped. */
  readonly physical?: number;
  /** Outermost first; the last one decided. */
  readonly levels: readonly { readonly name: string; readonly address: number; readonly entry: bigint }[];
  readonly accessed: boolean;
  readonly dirty: boolean;
  readonly problem?: 'not present' | 'reserved bits';
}

export interface MappedRange extends PageRights {
  readonly first: number;
  readonly last: number;
  /** Guest-physical address of the first byte, and whether the rest follows it. */
  readonly physical: number;
  readonly contiguous: boolean;
}

/**
 * Requests: name → [arguments, result]. After `create` and `restart` the machine stands still until `continue`, `step` or `runTo`;
 * those three are answered at once, and a `stopped` or `ended` event tells how they went. An ended machine can still be inspected
 * until `restart` or `terminate`.
 */
export interface Requests {
  /** Creates the machine. Rejects with a MachineError for bad input. */
  create: [MachineConfiguration, { counters: readonly CounterDefinition[]; registers: RegisterSnapshot }];
  continue: [Record<string, never>, void];
  pause: [Record<string, never>, void];
  /** Executes exactly `count` instructions (an interrupt taken in between counts as none), then stops with reason step. */
  step: [{ count: number }, void];
  /** Runs until EIP reaches `linear` with the stack pointer (ESP, or SP on a 16-bit stack) at or above `minimumStack`, or another stop. */
  runTo: [{ linear: number; minimumStack?: number }, void];
  /** Powers the machine off and on; with another configuration it becomes another machine. Breakpoints and subscriptions stay. */
  restart: [{ configuration?: MachineConfiguration }, void];
  terminate: [Record<string, never>, void];
  /**
   * Registers, linear memory, disassembly, expressions and steps are those of the selected processor: the one that stopped, until another one
   * is selected. A step executes that processor's instructions while the others stand still; `continue` and `runTo` go on with all of them.
   */
  registers: [Record<string, never>, RegisterSnapshot];
  processors: [Record<string, never>, readonly ProcessorSummary[]];
  selectProcessor: [{ processor: number }, RegisterSnapshot];
  /** Presses the power button: an operating system that listens shuts down. */
  powerButton: [Record<string, never>, void];
  setRegister: [{ name: RegisterName; value: bigint }, RegisterSnapshot];
  /** Reads what is readable: `bytes` may be shorter than asked, then `unreadable` says how many bytes follow. */
  readMemory: [{ space: AddressSpace; address: number; count: number }, { bytes: Uint8Array; unreadable: number }];
  /** Guest-physical addresses in RAM where the bytes stand, from an address on, at most so many. */
  findBytes: [{ pattern: Uint8Array; from: number; most: number }, readonly number[]];
  /** The guest's page tables for one linear address. */
  translate: [{ linear: number }, Translation];
  /** What the guest's page tables map from a linear address on; `next` is where to go on when there is more. */
  addressSpace: [{ from: number; most: number }, { readonly ranges: readonly MappedRange[]; readonly next?: number }];
  writeMemory: [{ space: AddressSpace; address: number; bytes: Uint8Array }, { written: number }];
  /** Replaces all breakpoints. */
  setBreakpoints: [{ breakpoints: readonly BreakpointSpec[] }, void];
  /** Vectors (0–31) that stop the machine before they are delivered. */
  setExceptionStops: [{ vectors: readonly number[] }, void];
  /** In the guest's current mode, or as told. `offset` counts instructions before (negative) or after the address. */
  disassemble: [{ linear: number; instructionOffset: number; count: number; codeSize?: 16 | 32 | 64 }, readonly DisassembledInstruction[]];
  /** `bits` is the width of the value (1–64), 0 for a number without one; `memory` is where a memory expression reads. Symbols have to be bound before. */
  evaluate: [{ expression: string }, { value: bigint; bits: number; memory?: { space: AddressSpace; address: number } }];
  counters: [Record<string, never>, CounterSample];
  screen: [Record<string, never>, Screen];
  /** The board's devices with their registers, read without side effects. */
  devices: [Record<string, never>, readonly DeviceSnapshot[]];
  /** Hidden page faults by guest instruction address (linear), most first. */
  hiddenPageFaults: [{ most: number }, readonly { linear: number; count: number }[]];
  postMortem: [Record<string, never>, PostMortem | undefined];
  /**
   * What the translator has made of the code at an address. With `count`, executions of what it shows are counted exactly from then on, until
   * other code is to be counted or `stopCounting`. The guest cannot tell; only the code that is counted is somewhat slower.
   */
  translatedCode: [{ linear: number; count?: boolean }, TranslatedCode];
  stopCounting: [Record<string, never>, void];
  /** Where the guest was found at work lately. */
  hotCode: [{ most: number }, HotCodeSample];
  /** The drives whose contents a guest can change. */
  drives: [Record<string, never>, readonly DriveSummary[]];
  /** The image in a drive with what the guest has written; undefined when it has written nothing. Refused for formats that can only be read. */
  changedDrive: [{ drive: WritableDrive }, Uint8Array | undefined];
  /** The disk in a drive as a new image; `identity`: 32 random bytes. */
  saveDrive: [{ drive: WritableDrive; format: DiskSaveFormat; identity: Uint8Array }, Uint8Array];
  /** Bytes typed into a serial port. */
  serialInput: [{ port: number; bytes: Uint8Array }, void];
  /** PS/2 set 1 scan codes, make and break as a keyboard sends them (after the controller's translation). */
  keyboard: [{ scancodes: readonly number[] }, void];
  /** Movement of the PS/2 mouse. */
  mouse: [MouseMovement, void];
  /** Which periodic events to send: hertz, 0 for none. */
  subscribe: [{ countersHz: number; screenHz: number }, void];
}
export type RequestName = keyof Requests;

/** Events: name → payload. */
export interface Events {
  running: Record<string, never>;
  stopped: { readonly reason: StopReason; readonly registers: RegisterSnapshot };
  ended: { readonly reason: EndReason; readonly exitStatus: number; readonly registers: RegisterSnapshot; readonly counters: CounterSample };
  serial: { readonly port: number; readonly bytes: Uint8Array };
  /** Bytes written to the debug port 0xE9. */
  debugPort: { readonly bytes: Uint8Array };
  counters: CounterSample & { readonly registers: RegisterSnapshot };
  /** Only when the screen changed. */
  screen: Screen;
  log: { readonly text: string };
}
export type EventName = keyof Events;

/** What a hand does with a mouse, in counts of the sensor: to the right, upwards, and the wheel's turns towards the person. */
export interface MouseMovement {
  readonly x: number;
  readonly y: number;
  readonly wheel: number;
  /** Held: left 1, right 2, middle 4. */
  readonly buttons: number;
}

/** A failure with a code, a message for a person and what to do next. */
export interface MachineErrorShape {
  readonly code: string;
  readonly message: string;
  readonly advice?: string;
}

/**
 * Backpressure: the client confirms what it has consumed. With two screens unconfirmed no further one is sent;
 * with more than a mebibyte of output (serial, debugPort, log) unconfirmed the guest waits.
 */
export interface Acknowledgement {
  readonly acknowledge: 'screen' | 'output';
  /** Screens, or bytes of output. */
  readonly count: number;
}

export type ClientMessage = Acknowledgement | { [N in RequestName]: { readonly id: number; readonly request: N; readonly arguments: Requests[N][0] } }[RequestName];
export type HostMessage =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: MachineErrorShape }
  | { [N in EventName]: { readonly event: N; readonly payload: Events[N] } }[EventName];
