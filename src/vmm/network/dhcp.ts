/** The DHCP server of a network with one guest (RFC 2131, 2132): the same address for everybody who asks. */
import { viewOf } from './packets';

const HEADER_BYTES = 236, MAGIC = 0x63825363, REQUEST = 1, REPLY = 2, HARDWARE_BYTES = 6;
const enum Option { Mask = 1, Router = 3, Dns = 6, Requested = 50, Lease = 51, Type = 53, Server = 54, End = 255, Pad = 0 }
const enum Type { Discover = 1, Offer = 2, Request = 3, Ack = 5, Nak = 6, Inform = 8 }
const LEASE_SECONDS = 86_400;
const MESSAGE_BYTES = 300;

export interface Lease {
  readonly address: number;
  readonly mask: number;
  readonly router: number;
  readonly dns: number;
}

function options(bytes: Uint8Array): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  for (let at = 0; at < bytes.length && bytes[at] !== Option.End as number;) {
    if (bytes[at] === Option.Pad as number) {
      at++;
      continue;
    }
    const length = bytes[at + 1] ?? 0;
    found.set(bytes[at], bytes.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return found;
}

const number32 = (bytes: Uint8Array | undefined): number | undefined => (bytes?.length === 4 ? viewOf(bytes).getUint32(0) : undefined);

/** The answer to a client's message, or undefined where it gets none. */
export function answerDhcp(message: Uint8Array, lease: Lease): Uint8Array | undefined {
  if (message.length < HEADER_BYTES + 4 || message[0] !== REQUEST || message[2] !== HARDWARE_BYTES) return undefined;
  const view = viewOf(message);
  if (view.getUint32(HEADER_BYTES) !== MAGIC) return undefined;
  const given = options(message.subarray(HEADER_BYTES + 4));
  const server = number32(given.get(Option.Server));
  if (server !== undefined && server !== lease.router) return undefined;
  let type: Type;
  switch (given.get(Option.Type)?.[0] as Type | undefined) {
    case Type.Discover: type = Type.Offer; break;
    case Type.Request: type = (number32(given.get(Option.Requested)) ?? view.getUint32(12)) === lease.address ? Type.Ack : Type.Nak; break;
    case Type.Inform: type = Type.Ack; break;
    default: return undefined;
  }
  const answer = new Uint8Array(MESSAGE_BYTES);
  // Kind of hardware, transaction, flags and the client's hardware address.
  answer.set(message.subarray(0, 12));
  answer.set(message.subarray(28, 44), 28);
  answer[0] = REPLY;
  answer[3] = 0;
  const out = viewOf(answer);
  if (type !== Type.Nak && given.get(Option.Type)?.[0] !== Type.Inform as number) out.setUint32(16, lease.address);
  out.setUint32(HEADER_BYTES, MAGIC);
  let at = HEADER_BYTES + 4;
  const put = (option: Option, ...bytes: number[]): void => {
    answer.set([option, bytes.length, ...bytes], at);
    at += 2 + bytes.length;
  };
  const word = (value: number): number[] => [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
  put(Option.Type, type);
  put(Option.Server, ...word(lease.router));
  if (type !== Type.Nak) {
    put(Option.Lease, ...word(LEASE_SECONDS));
    put(Option.Mask, ...word(lease.mask));
    put(Option.Router, ...word(lease.router));
    put(Option.Dns, ...word(lease.dns));
  }
  answer[at] = Option.End;
  return answer;
}
