/** Kernel images for tests of the Linux boot protocol: a boot sector with the setup header, set-up code and a kernel of one byte value. */
import { SetupField } from './linux-header';

export interface LinuxImageSpec {
  readonly version?: number;
  readonly sectors?: number;
  /** Of the kernel behind the set-up code. */
  readonly bytes?: number;
  readonly loadflags?: number;
  readonly relocatable?: boolean;
  readonly xloadflags?: number;
  readonly fields?: Partial<Record<keyof typeof SetupField, number>>;
}

const HEADER_END = 0x26c;

export function linuxImage({ version = 0x020f, sectors = 2, bytes = 0x3000, loadflags = 1, relocatable = true, xloadflags = 0, fields = {} }: LinuxImageSpec = {}): Uint8Array {
  const setup = (sectors + 1) * 512;
  const image = new Uint8Array(setup + bytes).fill(0x90, setup);
  const view = new DataView(image.buffer);
  image[SetupField.setupSects] = sectors;
  view.setUint16(SetupField.bootFlag, 0xaa55, true);
  image.set([0xeb, HEADER_END - SetupField.magic, 0x48, 0x64, 0x72, 0x53], SetupField.jump);
  view.setUint16(SetupField.version, version, true);
  image[SetupField.loadflags] = loadflags;
  view.setUint32(SetupField.code32Start, 0x100000, true);
  view.setUint32(SetupField.initrdAddrMax, 0x7fffffff, true);
  view.setUint32(SetupField.kernelAlignment, 0x1000, true);
  image[SetupField.relocatableKernel] = relocatable ? 1 : 0;
  view.setUint16(SetupField.xloadflags, xloadflags, true);
  view.setUint32(SetupField.cmdlineSize, 2047, true);
  for (const [name, value] of Object.entries(fields)) view.setUint32(SetupField[name as keyof typeof SetupField], value, true);
  return image;
}
