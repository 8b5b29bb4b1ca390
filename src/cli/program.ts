/** The commands of `ringside`, their options and their help, for commander. Each command's action resolves to the exit status. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { cpuModelNames, DEFAULT_CPU_MODEL } from '../vmm/cpu/models/models';
import { dumpStages, dumpStageTitles } from '../vmm/translate/dump';
import { regionPolicies } from '../vmm/translate/regions';
import { asm, type AsmOptions } from './asm';
import { bench, type BenchOptions } from './bench/bench';
import { contestantProcess } from './bench/contestant-process';
import { guestProcess, type GuestProcessOptions } from './bench/guest-process';
import { dis, type DisOptions } from './dis';
import { dump, type DumpOptions } from './dump';
import { counterDefinitions } from './format/counters';
import { LINUX_MEMORY_MIB, MEMORY_MIB } from './guest';
import { terminalHelp } from './input';
import { address, collect, define, seconds, typedText, whole } from './options';
import { run, type RunOptions } from './run';

const MEMORY_MIB_MAX = 2048;

const runHelp = `
What FILE is gets detected: assembly source (.asm, .nasm, .s, .inc), a Linux
kernel (bzImage), a multiboot kernel (ELF), a disk image (boot sector
signature, VDI, qcow2, VMDK), a CD (ISO 9660), else a flat binary, loaded at
0x7C00 in real mode. Without FILE the machine boots from --fda, --hda, --cdrom
or --virtio-disk.

Standard output gets what the guest writes to its serial port and to the debug
port 0xE9, then what --screen, --registers and --counters ask for. How the run
ended is told on standard error.

Exit status:
  N    the guest wrote V to the debug-exit port 0xF4: N = 2V + 1
  0    the guest halted for ever (interrupts off, or nothing left that could
       wake it) or powered off, or Ctrl-A x was typed
  1    Ringside itself failed
  2    bad input; the reason is printed
  3    triple fault; the post-mortem is printed: fault chain, gate, code, last
       branches, registers
  4    the instruction limit was reached
  124  the time limit was reached
  130  Ctrl-C; the counters are printed

Keys with --serial stdio in a terminal:
${terminalHelp.split('   ').map((line) => `  ${line}`).join('\n')}

Examples:
  ringside run samples/hello.asm --registers --counters table
  ringside run vmlinuz --initrd initrd.img --append "console=ttyS0"
  ringside run kernel.elf --append "verbose" --initrd data.bin
  ringside run disk.img --max-instructions 100M --counters json`;

/** @param finished receives the exit status of the command that ran. */
export function createProgram(version: string, finished: (status: number) => void): Command {
  const program = new Command('ringside')
    .description('An x86 virtual machine monitor: run, assemble and disassemble guests.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .showSuggestionAfterError();

  program.command('run')
    .summary('run a guest')
    .description('Runs a guest in this terminal.')
    .argument('[file]', 'program, kernel or disk image')
    .addOption(new Option('--memory <MiB>', `guest memory (default: ${MEMORY_MIB}, for Linux kernels ${LINUX_MEMORY_MIB})`).argParser(whole(1, MEMORY_MIB_MAX)))
    .addOption(new Option('--serial <where>', 'the first serial port: stdio, null, or a file for its output').default('stdio'))
    .option('--com2 <file>', 'output of the second serial port')
    .option('--com3 <file>', 'output of the third serial port')
    .option('--com4 <file>', 'output of the fourth serial port')
    .option('--kernel-cmdline, --append <text>', 'command line of a Linux or multiboot kernel')
    .option('--initrd <file>', 'initial ramdisk of a Linux kernel, module of a multiboot kernel')
    .option('--fda <image>', 'floppy in drive A')
    .option('--hda <image>', 'first hard disk; files that it names (extents, backing files) are looked up beside it')
    .option('--hda-backing <image>', 'the image that --hda, or FILE, holds the differences to, when it is not beside it')
    .option('--hdb <image>', 'second hard disk')
    .option('--cdrom <image>', 'disc in the CD drive')
    .addOption(new Option('--virtio-disk <image>', 'disk on the virtio bus, a hard disk behind the others to the BIOS; several are possible').argParser(collect))
    .option('--virtio-console', 'virtio console: its output goes to standard output, and input to it when --serial is not stdio')
    .addOption(new Option('--network <reach>', 'network card: what the guest may connect to, the computer itself (as 10.0.2.2) or everything').choices(['none', 'loopback', 'internet']).default('none'))
    .option('--share <folder[=tag]>', 'snapshot of a folder that the guest mounts (9p); its tag is "share" unless given')
    .option('--write-back', 'at the end write what the guest has changed to the images (raw and VDI); without it they stay as they are')
    .option('--bios <image>', 'BIOS that boots the disks instead of the built-in one')
    .option('--vga-bios <image>', 'VGA BIOS for --bios')
    .addOption(new Option('--processors <N>', 'number of processors, 1 to 8').argParser(whole(1, 8)))
    .addOption(new Option('--cpu <model>', 'model of the processors').choices(cpuModelNames).default(DEFAULT_CPU_MODEL))
    .addOption(new Option('--mmu <policy>', 'how guest memory is virtualized').choices(['shadow']).default('shadow'))
    .addOption(translationOption())
    .addOption(new Option('--load-address <address>', 'load FILE as a flat binary there and start it').argParser(address))
    .addOption(new Option('--max-instructions <N>', 'end after N guest instructions (k, M, G allowed)').argParser(whole(1, Number.MAX_SAFE_INTEGER)))
    .addOption(new Option('--timeout <S>', 'end after S seconds').argParser(seconds))
    .addOption(new Option('--pace <pace>', 'virtual time: realtime (default in a terminal) or as fast as it goes (default otherwise)').choices(['realtime', 'max']))
    .addOption(new Option('--type <text>', 'type TEXT on the keyboard; \\n, \\t, \\e, \\b are keys, too').argParser(typedText))
    .addOption(new Option('--screen <when>', 'print the text screen when the run ends').choices(['end', 'none']).default('end'))
    .option('--screenshot <file.png>', 'write the picture on the screen when the run ends')
    .addOption(new Option('--counters <format>', 'print the counters at the end; JSON is one line, the last one').choices(['table', 'json']))
    .option('--registers', 'print the registers at the end')
    .addHelpText('after', runHelp)
    .action(async (file: string | undefined, options: RunOptions) => finished(await run(file, options)));

  program.command('asm')
    .summary('assemble NASM syntax')
    .description('Assembles a source in NASM syntax with the built-in assembler.')
    .argument('<file>', 'assembly source')
    .addOption(new Option('-f, --format <format>', 'output format').choices(['bin', 'elf32']).default('bin'))
    .option('-o, --output <file>', 'where the output goes, - for standard output (default: the name of the source with .bin or .o)')
    .option('-l, --listing <file>', 'write a listing: lines, addresses, bytes')
    .addOption(new Option('-D, --define <name=value>', 'define a single-line macro').argParser(define))
    .addOption(new Option('-I, --include <folder>', 'folder in which %include and incbin also look').argParser(collect))
    .addHelpText('after', '\nExit status: 0, or 2 with messages (file:line:column) when there are errors.')
    .action((file: string, options: AsmOptions) => finished(asm(file, options)));

  program.command('dis')
    .summary('disassemble')
    .description('Disassembles the bytes of a file.')
    .argument('<file>', 'any file')
    .addOption(new Option('-b, --bits <size>', 'code size, 16, 32 or 64').argParser(codeBits).default(16))
    .addOption(new Option('--org <address>', 'address of the first byte of the file').argParser(address).default(0))
    .addOption(new Option('--offset <N>', 'skip N bytes of the file').argParser(whole(0, Number.MAX_SAFE_INTEGER)).default(0))
    .addOption(new Option('--length <N>', 'disassemble N bytes').argParser(whole(0, Number.MAX_SAFE_INTEGER)))
    .action(async (file: string, options: DisOptions) => finished(await dis(file, options, write)));

  program.command('dump')
    .summary('show what the translator makes of a guest')
    .description('Runs a guest for a while, without its output, and prints a stage of its translation.')
    .argument('<file>', 'program, kernel or disk image')
    .addOption(new Option('--stage <stage>', 'what to print').choices(dumpStages).makeOptionMandatory())
    .addOption(new Option('--instructions <N>', 'how long it runs (k, M, G allowed)').argParser(whole(1, Number.MAX_SAFE_INTEGER)).default(1_000_000))
    .addOption(new Option('--memory <MiB>', 'guest memory').argParser(whole(1, MEMORY_MIB_MAX)))
    .addOption(new Option('--cpu <model>', 'model of the processor').choices(cpuModelNames).default(DEFAULT_CPU_MODEL))
    .option('--append <text>', 'command line of a Linux or multiboot kernel')
    .option('--initrd <file>', 'initial ramdisk of a Linux kernel, module of a multiboot kernel')
    .addOption(new Option('--load-address <address>', 'load FILE as a flat binary there and start it').argParser(address))
    .addOption(translationOption())
    .addHelpText('after', `\nStages:\n${dumpStages.map((stage) => `  ${stage.padEnd(8)} ${dumpStageTitles[stage]}`).join('\n')}`)
    .action(async (file: string, options: DumpOptions) => finished(await dump(file, options, write)));

  program.command('bench')
    .summary('measure the engine')
    .description('Measures guest instructions a second with guests of our own, paging on, in interleaved rounds.')
    .option('--list', 'list the kernels')
    .addOption(new Option('--only <name>', 'measure this kernel (may be given several times)').argParser(collect))
    .option('--peers', 'beside v86 and QEMU, where they are installed')
    .addOption(new Option('--rounds <N>', 'measured rounds').argParser(whole(1, 1000)).default(5))
    .addOption(new Option('--starts <N>', 'new processes whose first batches are measured').argParser(whole(1, 100)).default(1))
    .option('--guests', 'instead, start the Linux kernels that npm run guests has fetched, and let them work')
    .addOption(new Option('--forks <N>', 'with --guests: programs that Linux starts').argParser(whole(1, 1_000_000)).default(300))
    .option('--report <files...>', 'write docs/performance.md and its chart out of JSON files of earlier runs')
    .option('--json [file]', 'one line of JSON instead of a table; or the table, and JSON in a file')
    .action(async (options: BenchOptions) => finished(await bench(options)));

  program.command('bench-contestant <name> <image>', { hidden: true })
    .description('What bench starts in a process of its own.')
    .action(contestantProcess);
  program.command('bench-guest <name> <options>', { hidden: true })
    .description('What bench --guests starts in a process of its own.')
    .action((name: string, options: string) => guestProcess(name, JSON.parse(options) as GuestProcessOptions));

  program.command('counters')
    .summary('explain the counters')
    .description('Prints what each counter of `ringside run --counters` means.')
    .action(() => {
      console.log(counterDefinitions());
      finished(0);
    });
  return program;
}

function translationOption(): Option {
  return new Option('--translation <mode>', 'adaptive: regions for what is hot (default); threaded: threaded code alone; eager, random: regions at once, now and then').choices(Object.keys(regionPolicies));
}

function codeBits(text: string): 16 | 32 | 64 {
  if (text !== '16' && text !== '32' && text !== '64') throw new InvalidArgumentError('It has to be 16, 32 or 64.');
  return Number(text) as 16 | 32 | 64;
}

async function write(text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => process.stdout.write(text, (error) => (error ? reject(error) : resolve())));
}
