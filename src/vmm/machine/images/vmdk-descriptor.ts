/** The descriptor of a VMDK image, a file of its own or inside the image: what kind of image it is, where its sectors are, and what it holds differences to. */
import { HeaderReader, SECTOR_BYTES, type PartName } from './disk-file';

const BEGIN = '# Disk DescriptorFile';
const MAGIC = 0x564d444b;
const BYTES_MAX = 0x10000;
export const EXTENTS_MAX = 256;
const NO_PARENT = 'ffffffff';

export interface VmdkExtent {
  readonly access: 'RW' | 'RDONLY' | 'NOACCESS';
  readonly sectors: number;
  /** 'flat': sectors from an offset on in a file; 'sparse': grains in a file of their own; 'zero': no file at all. */
  readonly kind: 'flat' | 'sparse' | 'zero';
  readonly name: string;
  /** Of flat extents, in sectors. */
  readonly offset: number;
}

export interface VmdkDescriptor {
  readonly createType: string | undefined;
  readonly contentId: string | undefined;
  /** Of an image that holds differences. */
  readonly parent: { readonly contentId: string; readonly name: string | undefined } | undefined;
  /** In the order of the disk; those of an embedded descriptor tell nothing new. */
  readonly extents: readonly VmdkExtent[];
}

const kinds: Readonly<Record<string, VmdkExtent['kind']>> = { FLAT: 'flat', VMFS: 'flat', SPARSE: 'sparse', ZERO: 'zero' };
/** Images of several files, and those of one. */
const separateTypes = /^(monolithicFlat|twoGbMaxExtentFlat|twoGbMaxExtentSparse|vmfs|custom)$/i, embeddedTypes = /^(monolithicSparse|streamOptimized)$/i;
const convert = 'Convert it to one file first: qemu-img convert -O raw IN OUT.';

/** A text file that only names the files with the data. */
export function isVmdkDescriptor(bytes: Uint8Array): boolean {
  return Array.from(BEGIN).every((c, n) => bytes[n] === c.charCodeAt(0));
}

/** The descriptor in a descriptor file or inside a sparse image. @throws MachineError */
export function vmdkDescriptor(h: HeaderReader): VmdkDescriptor | undefined {
  if (isVmdkDescriptor(h.bytes)) {
    const descriptor = parse(h, h.bytes.subarray(0, BYTES_MAX), true);
    const { createType, extents } = descriptor;
    if (createType !== undefined && !separateTypes.test(createType)) {
      h.fail(`createType is ${JSON.stringify(createType)}; of images in several files monolithicFlat, twoGbMaxExtentFlat, twoGbMaxExtentSparse and vmfs are supported`, convert);
    }
    h.check(extents.length > 0, 'the descriptor names no extent');
    h.sectorsOf(extents.reduce((sum, { sectors }) => sum + sectors, 0) * SECTOR_BYTES, 'the extents\' size');
    return descriptor;
  }
  if (h.u32(0, 'magicNumber') !== MAGIC) return undefined;
  const at = h.u64(28, 'descriptorOffset') * SECTOR_BYTES, length = Math.min(h.u64(36, 'descriptorSize') * SECTOR_BYTES, BYTES_MAX);
  if (at === 0) return undefined;
  h.check(at + length <= h.bytes.length, 'descriptorOffset and descriptorSize lie beyond the end of the file');
  const descriptor = parse(h, h.bytes.subarray(at, at + length), false);
  const { createType } = descriptor;
  if (createType !== undefined && !embeddedTypes.test(createType)) {
    h.fail(`createType is ${JSON.stringify(createType)}; of images in one file monolithicSparse and streamOptimized are supported`, convert);
  }
  return descriptor;
}

function parse(h: HeaderReader, bytes: Uint8Array, separate: boolean): VmdkDescriptor {
  const text = new TextDecoder().decode(bytes).replace(/\0[^]*/, '');
  const value = (key: string): string | undefined => new RegExp(`^\\s*${key}\\s*=\\s*"?([^"\\r\\n]*)"?`, 'mi').exec(text)?.[1].trim();
  const parent = value('parentCID')?.toLowerCase();
  return {
    createType: value('createType'), contentId: value('CID')?.toLowerCase(),
    parent: parent === undefined || parent === NO_PARENT ? undefined : { contentId: parent, name: value('parentFileNameHint') },
    extents: separate ? extents(h, text) : [],
  };
}

function extents(h: HeaderReader, text: string): VmdkExtent[] {
  const lines = text.split(/\r?\n/).map((line) => line.trim()).filter((line) => /^(RW|RDONLY|NOACCESS)\s/.test(line));
  if (lines.length > EXTENTS_MAX) h.fail(`the descriptor names ${lines.length} extents; at most ${EXTENTS_MAX} are supported`, convert);
  return lines.map((line) => {
    const fields = /^(RW|RDONLY|NOACCESS)\s+(\d+)\s+(\w+)(?:\s+"([^"]*)"(?:\s+(\d+))?)?/.exec(line);
    if (!fields) return h.fail(`the extent ${JSON.stringify(line)} is none`);
    const [, access, sectors, type, name = '', offset = '0'] = fields;
    const kind = kinds[type.toUpperCase()];
    if (kind === undefined) h.fail(`the extent ${JSON.stringify(name)} is of type ${type}; FLAT, SPARSE, VMFS and ZERO are supported`, convert);
    h.check(Number.isSafeInteger(Number(sectors)) && Number(sectors) > 0, `the extent ${JSON.stringify(name)} has ${sectors} sectors`);
    h.check(Number.isSafeInteger(Number(offset) * SECTOR_BYTES), `the extent ${JSON.stringify(name)} begins at sector ${offset}`);
    return { access: access as VmdkExtent['access'], sectors: Number(sectors), kind, name: kind === 'zero' ? '' : h.besideName(name, 'an extent'), offset: Number(offset) };
  });
}

/** Names of the files that have to be given with the image; `backed`: its parent is given by hand. @throws MachineError for names that are paths */
export function vmdkNames(file: string, bytes: Uint8Array, backed: boolean): PartName[] {
  const h = new HeaderReader(file, 'VMDK', bytes, true);
  const descriptor = vmdkDescriptor(h);
  if (!descriptor) return [];
  const { parent, extents: parts } = descriptor;
  const extentNames = parts.filter(({ kind }) => kind !== 'zero').map(({ name }) => ({ name, raw: true }));
  return parent && !backed ? [...extentNames, { name: parentName(h, parent), raw: false }] : extentNames;
}

export function parentName(h: HeaderReader, parent: NonNullable<VmdkDescriptor['parent']>): string {
  if (parent.name === undefined) return h.fail('it holds only the differences to a parent, and does not name it (parentFileNameHint)', 'Merge them first: qemu-img convert -O raw IN OUT.');
  return h.besideName(parent.name, 'the parent (parentFileNameHint)', ' Or give it by hand (--hda-backing, "hdaBacking").');
}
