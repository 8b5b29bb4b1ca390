// Archives in cpio's "newc" format, as the Linux kernel unpacks them for its initial root (Documentation/driver-api/early-userspace/buffer-format.rst).

const S_IFDIR = 0o040000, S_IFREG = 0o100000, S_IFLNK = 0o120000, S_IFCHR = 0o020000;

/**
 * @typedef {{ path: string, directory: true } | { path: string, bytes: Uint8Array, executable?: boolean } | { path: string, link: string }
 *   | { path: string, device: [number, number] }} CpioEntry
 */

/**
 * @param {readonly CpioEntry[]} entries parents before what is in them; a device is a character device by its numbers
 * @returns {Buffer}
 */
export function cpioArchive(entries) {
  return Buffer.concat([...entries.map((entry, n) => record(n + 1, entry)), record(0, { path: 'TRAILER!!!', bytes: new Uint8Array(), mode: 0 })]);
}

function record(inode, entry) {
  const name = Buffer.from(`${entry.path}\0`);
  const data = entry.link !== undefined ? Buffer.from(entry.link) : Buffer.from(entry.bytes ?? []);
  const [major, minor] = entry.device ?? [0, 0];
  // Inode, mode, owner, group, links, time, size, device of the file, device number, length of the name, checksum: 8 hexadecimal digits each.
  const fields = [inode, entry.mode ?? modeOf(entry), 0, 0, 1, 0, data.length, 0, 0, major, minor, name.length, 0];
  const header = Buffer.from(`070701${fields.map((value) => value.toString(16).padStart(8, '0')).join('')}`);
  return Buffer.concat([padded(Buffer.concat([header, name])), padded(data)]);
}

function modeOf(entry) {
  if (entry.directory) return S_IFDIR | 0o755;
  if (entry.link !== undefined) return S_IFLNK | 0o777;
  if (entry.device) return S_IFCHR | 0o600;
  return S_IFREG | (entry.executable ? 0o755 : 0o644);
}

/** To a multiple of four bytes, as header with name and data both are. */
function padded(bytes) {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}
