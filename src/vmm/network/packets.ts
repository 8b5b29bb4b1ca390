/** Ethernet frames, IPv4 packets and UDP datagrams as bytes (RFC 894, 791, 768), with their checksums (RFC 1071). */

export const ETHERNET_BYTES = 14, IP_BYTES = 20, UDP_BYTES = 8;
export const EtherType = { ip: 0x0800, arp: 0x0806 } as const;
export const Protocol = { icmp: 1, tcp: 6, udp: 17 } as const;
const TIME_TO_LIVE = 64, DONT_FRAGMENT = 0x4000, FRAGMENT = 0x3fff;

export interface IpPacket {
  readonly source: number;
  readonly target: number;
  readonly protocol: number;
  readonly payload: Uint8Array;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

export const addressText = (address: number): string => [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.');

/** Undefined for what is no dotted IPv4 address. */
export function addressNumber(text: string): number | undefined {
  const parts = text.split('.').map((part) => (/^\d{1,3}$/.test(part) ? Number(part) : NaN));
  return parts.length === 4 && parts.every((part) => part <= 255) ? parts.reduce((sum, part) => sum * 256 + part, 0) : undefined;
}

function sum16(bytes: Uint8Array, from = 0): number {
  let sum = from;
  for (let n = 0; n + 1 < bytes.length; n += 2) sum += bytes[n] << 8 | bytes[n + 1];
  if (bytes.length % 2) sum += bytes[bytes.length - 1] << 8;
  return sum;
}

function folded(sum: number): number {
  let value = sum;
  while (value > 0xffff) value = (value & 0xffff) + Math.floor(value / 0x10000);
  return ~value & 0xffff;
}

/** 0 for bytes that hold their own correct checksum. */
export const checksum = (bytes: Uint8Array): number => folded(sum16(bytes));

/** The checksum of TCP and UDP covers addresses, protocol and length besides. */
export function pseudoChecksum({ source, target, protocol, payload }: IpPacket): number {
  return folded(sum16(payload, (source >>> 16) + (source & 0xffff) + (target >>> 16) + (target & 0xffff) + protocol + payload.length));
}

export function ethernet(target: Uint8Array, source: Uint8Array, type: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(ETHERNET_BYTES + payload.length);
  frame.set(target);
  frame.set(source, 6);
  viewOf(frame).setUint16(12, type);
  frame.set(payload, ETHERNET_BYTES);
  return frame;
}

/** The packet in a frame's payload; undefined for what is damaged, in fragments, or no IPv4. */
export function parseIp(bytes: Uint8Array): IpPacket | undefined {
  if (bytes.length < IP_BYTES || bytes[0] >>> 4 !== 4) return undefined;
  const view = viewOf(bytes);
  const header = (bytes[0] & 15) * 4, length = view.getUint16(2);
  if (header < IP_BYTES || length < header || length > bytes.length || view.getUint16(6) & FRAGMENT || checksum(bytes.subarray(0, header)) !== 0) return undefined;
  return { source: view.getUint32(12), target: view.getUint32(16), protocol: bytes[9], payload: bytes.subarray(header, length) };
}

export function ip({ source, target, protocol, payload }: IpPacket, identification: number): Uint8Array {
  const bytes = new Uint8Array(IP_BYTES + payload.length);
  const view = viewOf(bytes);
  view.setUint8(0, 0x45);
  view.setUint16(2, bytes.length);
  view.setUint16(4, identification);
  view.setUint16(6, DONT_FRAGMENT);
  view.setUint8(8, TIME_TO_LIVE);
  view.setUint8(9, protocol);
  view.setUint32(12, source);
  view.setUint32(16, target);
  view.setUint16(10, checksum(bytes.subarray(0, IP_BYTES)));
  bytes.set(payload, IP_BYTES);
  return bytes;
}

export interface Datagram {
  readonly sourcePort: number;
  readonly targetPort: number;
  readonly data: Uint8Array;
}

export function parseUdp(packet: IpPacket): Datagram | undefined {
  const { payload } = packet;
  if (payload.length < UDP_BYTES) return undefined;
  const view = viewOf(payload);
  const length = view.getUint16(4);
  if (length < UDP_BYTES || length > payload.length) return undefined;
  // A checksum of 0 is none.
  if (view.getUint16(6) !== 0 && pseudoChecksum({ ...packet, payload: payload.subarray(0, length) }) !== 0) return undefined;
  return { sourcePort: view.getUint16(0), targetPort: view.getUint16(2), data: payload.subarray(UDP_BYTES, length) };
}

export function udp(source: number, target: number, { sourcePort, targetPort, data }: Datagram): IpPacket {
  const payload = new Uint8Array(UDP_BYTES + data.length);
  const view = viewOf(payload);
  view.setUint16(0, sourcePort);
  view.setUint16(2, targetPort);
  view.setUint16(4, payload.length);
  payload.set(data, UDP_BYTES);
  const packet = { source, target, protocol: Protocol.udp, payload };
  view.setUint16(6, pseudoChecksum(packet) || 0xffff);
  return packet;
}
