/** DNS messages (RFC 1035): one question in, its answer out. */
import { addressNumber, viewOf } from './packets';

const HEADER_BYTES = 12, NAME_BYTES_MAX = 253, LABEL_BYTES_MAX = 63;
const RESPONSE = 0x8000, RECURSION_DESIRED = 0x0100, RECURSION_AVAILABLE = 0x0080, OPCODE = 0x7800;
const POINTER_TO_QUESTION = 0xc00c, INTERNET = 1, SECONDS_TO_LIVE = 60, ANSWERS_MAX = 16;
export const RecordType = { a: 1, aaaa: 28 } as const;
export const ResponseCode = { none: 0, format: 1, failure: 2, noName: 3, notImplemented: 4, refused: 5 } as const;

export interface Question {
  readonly name: string;
  readonly type: number;
  /** Length of header and question. */
  readonly end: number;
}

/** The question of a query; undefined for anything that is not one plain question. */
export function parseQuestion(message: Uint8Array): Question | undefined {
  if (message.length < HEADER_BYTES) return undefined;
  const view = viewOf(message);
  if (view.getUint16(2) & (RESPONSE | OPCODE) || view.getUint16(4) !== 1) return undefined;
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = message[at]; length; length = message[at]) {
    if (length > LABEL_BYTES_MAX || at + 1 + length >= message.length) return undefined;
    labels.push(String.fromCharCode(...message.subarray(at + 1, at + 1 + length)));
    at += 1 + length;
  }
  const name = labels.join('.');
  if (name.length > NAME_BYTES_MAX || at + 5 > message.length || view.getUint16(at + 3) !== INTERNET) return undefined;
  return { name, type: view.getUint16(at + 1), end: at + 5 };
}

/** What may be asked for outside: host names. */
export const isHostName = (name: string): boolean => /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/i.test(name);

export function answerQuestion(message: Uint8Array, { end }: Question, code: number, addresses: readonly string[] = []): Uint8Array {
  const numbers = addresses.flatMap((text) => addressNumber(text) ?? []).slice(0, ANSWERS_MAX);
  const answer = new Uint8Array(end + 16 * numbers.length);
  answer.set(message.subarray(0, end));
  const view = viewOf(answer);
  view.setUint16(2, RESPONSE | (view.getUint16(2) & RECURSION_DESIRED) | RECURSION_AVAILABLE | code);
  view.setUint16(6, numbers.length);
  view.setUint32(8, 0);
  numbers.forEach((address, n) => {
    const at = end + 16 * n;
    view.setUint16(at, POINTER_TO_QUESTION);
    view.setUint16(at + 2, RecordType.a);
    view.setUint16(at + 4, INTERNET);
    view.setUint32(at + 6, SECONDS_TO_LIVE);
    view.setUint16(at + 10, 4);
    view.setUint32(at + 12, address);
  });
  return answer;
}
