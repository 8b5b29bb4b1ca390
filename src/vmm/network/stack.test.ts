/** The network as a guest's driver sees it: frames in, frames out, and a host that tests play. */
import assert from 'node:assert/strict';
import type { ConnectionEvents, HostConnection, NetworkHost } from './host';
import { ethernet, EtherType, ip, parseIp, parseUdp, Protocol, pseudoChecksum, udp, viewOf, type IpPacket } from './packets';
import { GATEWAY, GUEST, NAME_SERVER, NetworkStack, type Reach } from './stack';
import { parseSegment, segmentBytes, TcpFlag, type Segment } from './tcp';

const { syn: SYN, ack: ACK, fin: FIN, rst: RST, psh: PSH } = TcpFlag;
const MAC = Uint8Array.of(2, 0, 0, 0, 0, 1), ELSEWHERE = 0x08080808;
const RATE = 1000;

class Clock {
  time = 0;
  readonly instructionsPerSecond = RATE;
  private timers: { at: number; callback: () => void }[] = [];
  now(): number { return this.time; }
  schedule(at: number, callback: () => void): { cancel(): void } {
    const timer = { at, callback };
    this.timers.push(timer);
    return { cancel: () => { this.timers = this.timers.filter((other) => other !== timer); } };
  }
  get pending(): number { return this.timers.length; }
  seconds(count: number): void {
    const target = this.time + count * RATE;
    for (;;) {
      const next = this.timers.filter(({ at }) => at <= target).sort((a, b) => a.at - b.at)[0] as { at: number; callback: () => void } | undefined;
      if (!next) break;
      this.timers = this.timers.filter((other) => other !== next);
      this.time = next.at;
      next.callback();
    }
    this.time = target;
  }
}

interface Opened {
  address: string;
  port: number;
  events: ConnectionEvents;
  sent: number[];
  log: string[];
}

class Bench {
  readonly clock = new Clock();
  readonly frames: Uint8Array[] = [];
  readonly opened: Opened[] = [];
  readonly questions: { name: string; done: (addresses: readonly string[] | undefined) => void }[] = [];
  readonly host: NetworkHost = {
    connect: (address, port, events): HostConnection => {
      const one: Opened = { address, port, events, sent: [], log: [] };
      this.opened.push(one);
      return { send: (bytes) => one.sent.push(...bytes), end: () => one.log.push('end'), abort: () => one.log.push('abort'), flow: (on) => one.log.push(on ? 'on' : 'off') };
    },
    resolve: (name, done) => this.questions.push({ name, done }),
  };
  readonly stack: NetworkStack;

  constructor(reach: Reach = 'loopback', withHost = true) {
    this.stack = new NetworkStack({ clock: this.clock, reach, deliver: (frame) => this.frames.push(frame), ...(withHost && { host: this.host }) });
  }

  packet(packet: IpPacket): void {
    this.stack.transmitted(ethernet(new Uint8Array(6).fill(0xff), MAC, EtherType.ip, ip(packet, 1)));
  }

  /** The frames since the last call, as packets. */
  packets(): IpPacket[] {
    return this.frames.splice(0).map((frame) => {
      assert.deepEqual(frame.subarray(6, 12), Uint8Array.of(2, 0x52, 0x49, 0x4e, 0x47, 2));
      return parseIp(frame.subarray(14)) ?? assert.fail('no IP packet');
    });
  }

  datagram(target: number, targetPort: number, data: Uint8Array, source = GUEST): void {
    this.packet(udp(source, target, { sourcePort: 4000, targetPort, data }));
  }

  tcp(segment: Partial<Segment>, target = GATEWAY): Segment[] {
    const payload = segmentBytes({ sourcePort: 1000, targetPort: 80, sequence: 0, acknowledgement: 0, flags: 0, window: 0xffff, data: new Uint8Array(), ...segment });
    const packet = { source: GUEST, target, protocol: Protocol.tcp, payload };
    viewOf(payload).setUint16(16, pseudoChecksum(packet));
    this.packet(packet);
    return this.segments();
  }

  segments(): Segment[] {
    return this.packets().map((packet) => {
      assert.equal(packet.target, GUEST);
      assert.equal(pseudoChecksum(packet), 0);
      return parseSegment(packet.payload) ?? assert.fail('no segment');
    });
  }

  /** Opens a connection; the numbers that follow the SYNs. */
  open(options: Partial<Segment> = {}): { guest: number; host: number; one: Opened } {
    assert.deepEqual(this.tcp({ flags: SYN, sequence: 0xfffffff0, mss: 1000, ...options }), []);
    const one = this.opened.at(-1)!;
    one.events.connected();
    const [answer] = this.segments();
    assert.equal(answer.flags, SYN | ACK);
    assert.equal(answer.acknowledgement, 0xfffffff1);
    const host = (answer.sequence + 1) >>> 0;
    assert.deepEqual(this.tcp({ flags: ACK, sequence: 0xfffffff1, acknowledgement: host, window: options.window ?? 0xffff }), []);
    return { guest: 0xfffffff1, host, one };
  }
}

function dhcp(type: number, options: number[] = []): Uint8Array {
  const message = new Uint8Array(300);
  message.set([1, 1, 6, 0, 1, 2, 3, 4]);
  message.set(MAC, 28);
  message.set([0x63, 0x82, 0x53, 0x63, 53, 1, type, ...options, 255], 236);
  return message;
}

function query(name: string, type = 1): Uint8Array {
  const labels = name.split('.').flatMap((label) => [label.length, ...Array.from(label, (c) => c.charCodeAt(0))]);
  return Uint8Array.of(0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, type, 0, 1);
}

describe('network', () => {
  it('answers ARP for the gateway and the name server alone', () => {
    const bench = new Bench();
    const ask = (address: number): number => {
      const request = new Uint8Array(28);
      request.set([0, 1, 8, 0, 6, 4, 0, 1, ...MAC]);
      viewOf(request).setUint32(14, GUEST);
      viewOf(request).setUint32(24, address);
      bench.stack.transmitted(ethernet(new Uint8Array(6).fill(0xff), MAC, EtherType.arp, request));
      return bench.frames.length;
    };
    assert.equal(ask(GUEST), 0);
    assert.equal(ask(ELSEWHERE), 0);
    assert.equal(ask(GATEWAY), 1);
    assert.equal(viewOf(bench.frames[0]).getUint16(20), 2);
    assert.deepEqual(bench.frames[0].subarray(32, 38), MAC);
    assert.equal(ask(NAME_SERVER), 2);
  });

  it('leases an address', () => {
    const bench = new Bench();
    const ask = (message: Uint8Array): Uint8Array | undefined => {
      bench.datagram(0xffffffff, 67, message, 0);
      const [packet] = bench.packets();
      return packet as IpPacket | undefined && parseUdp(packet)!.data;
    };
    const offer = ask(dhcp(1))!;
    assert.equal(viewOf(offer).getUint32(16), GUEST);
    assert.deepEqual([...offer.subarray(240, 243)], [53, 1, 2]);
    const asked = (last: number) => [50, 4, 10, 0, 2, last];
    assert.deepEqual([...ask(dhcp(3, asked(15)))!.subarray(240, 243)], [53, 1, 5]);
    assert.deepEqual([...ask(dhcp(3, asked(99)))!.subarray(240, 243)], [53, 1, 6]);
    assert.equal(ask(dhcp(3, [...asked(15), 54, 4, 1, 1, 1, 1])), undefined, 'another server is meant');
    assert.equal(ask(dhcp(7)), undefined);
    assert.equal(ask(new Uint8Array(100)), undefined);
    assert.equal(ask(dhcp(1).subarray(0, 242)), undefined, 'options that end early');
  });

  it('answers an echo, and a datagram to nobody', () => {
    const bench = new Bench();
    const echo = Uint8Array.of(8, 0, 0xf7, 0xfd, 0, 1, 0, 1);
    bench.packet({ source: GUEST, target: GATEWAY, protocol: Protocol.icmp, payload: echo });
    const [reply] = bench.packets();
    assert.deepEqual([reply.payload[0], reply.source, reply.target], [0, GATEWAY, GUEST]);
    bench.packet({ source: GUEST, target: ELSEWHERE, protocol: Protocol.icmp, payload: echo });
    assert.equal(bench.frames.length, 0);
    bench.datagram(GATEWAY, 9, Uint8Array.of(1));
    assert.deepEqual([...bench.packets()[0].payload.subarray(0, 2)], [3, 3]);
  });

  it('asks for names only when the guest may reach the internet', () => {
    const ask = (bench: Bench, name: string, type?: number): Uint8Array[] => {
      bench.datagram(NAME_SERVER, 53, query(name, type));
      return bench.packets().map((packet) => parseUdp(packet)!.data);
    };
    const loopback = new Bench();
    assert.equal(ask(loopback, 'example.org')[0][3] & 15, 5);
    assert.deepEqual([...ask(loopback, 'host')[0].subarray(-4)], [10, 0, 2, 2]);
    assert.equal(loopback.questions.length, 0);
    const bench = new Bench('internet');
    assert.deepEqual(ask(bench, 'example.org'), []);
    assert.equal(bench.stack.active, true);
    bench.questions[0].done(['93.184.216.34', 'no address']);
    const [answer] = bench.packets().map((packet) => parseUdp(packet)!.data);
    assert.deepEqual([answer[0], answer[1], answer[3] & 15, answer[7]], [0x12, 0x34, 0, 1]);
    assert.deepEqual([...answer.subarray(-4)], [93, 184, 216, 34]);
    assert.equal(bench.stack.active, false);
    ask(bench, 'nothing.invalid');
    bench.questions[1].done([]);
    assert.equal(parseUdp(bench.packets()[0])!.data[3] & 15, 3);
    ask(bench, 'example.org', 28);
    bench.questions[2].done(['1.2.3.4']);
    assert.equal(parseUdp(bench.packets()[0])!.data[7], 0, 'no IPv6');
    assert.equal(ask(bench, 'bad name')[0][3] & 15, 3);
    assert.equal(ask(bench, 'example.org', 16)[0][3] & 15, 4);
    for (let n = 0; n < 64; n++) ask(bench, `n${n}.org`);
    assert.equal(ask(bench, 'one.more')[0][3] & 15, 5);
    bench.stack.reset();
    bench.questions.at(-1)!.done(['1.2.3.4']);
    assert.equal(bench.frames.length, 0, 'asked before the reset');
    for (let length = 0; length < 29; length++) bench.datagram(NAME_SERVER, 53, query('example.org').subarray(0, length));
    bench.datagram(NAME_SERVER, 53, Uint8Array.of(0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 0x0c, 0, 1, 0, 1));
    assert.equal(bench.packets().length, 0);
  });

  it('connects to the host\'s loopback and, only when allowed, elsewhere', () => {
    const bench = new Bench();
    bench.tcp({ flags: SYN, sequence: 7 });
    assert.deepEqual([bench.opened[0].address, bench.opened[0].port], ['127.0.0.1', 80]);
    const [refused] = bench.tcp({ flags: SYN, sequence: 7, sourcePort: 1001 }, ELSEWHERE);
    assert.deepEqual([refused.flags, refused.acknowledgement], [RST | ACK, 8]);
    const internet = new Bench('internet');
    internet.tcp({ flags: SYN }, ELSEWHERE);
    assert.equal(internet.opened[0].address, '8.8.8.8');
    for (const target of [0x7f000001, 0, 0xe0000001, 0xffffffff, 0x0a000204, NAME_SERVER]) {
      assert.equal(internet.tcp({ flags: SYN, sourcePort: 1001 }, target)[0].flags, RST | ACK);
    }
    assert.equal(internet.opened.length, 1);
    assert.equal(new Bench('internet', false).tcp({ flags: SYN })[0].flags, RST | ACK, 'without a host');
  });

  it('carries bytes both ways and ends both halves', () => {
    const bench = new Bench();
    const { guest, host, one } = bench.open();
    const [acknowledged] = bench.tcp({ flags: ACK | PSH, sequence: guest, acknowledgement: host, data: Uint8Array.of(1, 2, 3) });
    assert.deepEqual([acknowledged.flags, acknowledged.acknowledgement, acknowledged.window], [ACK, guest + 3, 0xffff - 3]);
    assert.deepEqual(one.sent, [1, 2, 3]);
    one.events.sent(3);
    one.events.received(new Uint8Array(2500).fill(9));
    const data = bench.segments();
    assert.deepEqual(data.map(({ data: { length } }) => length), [1000, 1000, 500], 'in segments as large as the guest takes');
    assert.equal(data[1].sequence, (host + 1000) >>> 0);
    assert.equal(data[2].flags, ACK | PSH);
    bench.tcp({ flags: ACK, sequence: guest + 3, acknowledgement: (host + 2500) >>> 0 });
    assert.equal(bench.clock.pending, 0, 'nothing waits to be sent again');
    one.events.ended();
    assert.equal(bench.segments()[0].flags, ACK | FIN);
    bench.tcp({ flags: ACK, sequence: guest + 3, acknowledgement: (host + 2501) >>> 0 });
    assert.equal(bench.stack.active, true, 'the guest may still send');
    const [last] = bench.tcp({ flags: ACK | FIN, sequence: guest + 3, acknowledgement: (host + 2501) >>> 0, data: Uint8Array.of(4) });
    assert.equal(last.acknowledgement, guest + 5);
    assert.deepEqual(one.sent, [1, 2, 3, 4]);
    assert.deepEqual(one.log, ['end']);
    assert.equal(bench.stack.active, false);
  });

  it('takes each byte once and none out of order', () => {
    const bench = new Bench();
    const { guest, host, one } = bench.open();
    const send = (offset: number, ...data: number[]): number => bench.tcp({ flags: ACK, sequence: (guest + offset) >>> 0, acknowledgement: host, data: Uint8Array.from(data) })[0].acknowledgement;
    assert.equal(send(0, 1, 2), guest + 2);
    assert.equal(send(0, 1, 2), guest + 2);
    assert.equal(send(1, 2, 3), guest + 3);
    assert.equal(send(5, 6), guest + 3);
    assert.deepEqual(one.sent, [1, 2, 3]);
  });

  it('sends again what is not acknowledged, ever more rarely, and gives up', () => {
    const bench = new Bench();
    const { host, one } = bench.open();
    one.events.received(Uint8Array.of(5));
    bench.segments();
    bench.clock.seconds(1.1);
    assert.deepEqual(bench.segments().map(({ sequence }) => sequence), [host]);
    bench.clock.seconds(1);
    assert.deepEqual(bench.segments(), []);
    bench.clock.seconds(1000);
    const rest = bench.segments();
    assert.equal(rest.length, 8);
    assert.equal(rest.at(-1)!.flags & RST, RST);
    assert.deepEqual(one.log, ['abort']);
    assert.equal(bench.stack.active, false);
    const other = new Bench();
    other.tcp({ flags: SYN });
    other.opened[0].events.connected();
    other.segments();
    other.clock.seconds(3.1);
    assert.deepEqual(other.segments().map(({ flags }) => flags), [SYN | ACK, SYN | ACK]);
  });

  it('keeps to the guest\'s window, scaled or closed, and stops the host\'s flow', () => {
    const bench = new Bench();
    const { guest, host, one } = bench.open({ window: 10, scale: 3, mss: 100 });
    one.events.received(new Uint8Array(300));
    assert.equal(bench.segments().reduce((sum, { data }) => sum + data.length, 0), 80);
    const bytes = (window: number, upTo: number): number => bench.tcp({ flags: ACK, sequence: guest, acknowledgement: (host + upTo) >>> 0, window }).reduce((sum, { data }) => sum + data.length, 0);
    assert.equal(bytes(0, 80), 0);
    bench.clock.seconds(1.1);
    assert.equal(bench.segments()[0].data.length, 1, 'a probe');
    assert.equal(bytes(0, 80), 0);
    assert.equal(bytes(100, 81), 219);
    for (let n = 0; n < 5; n++) one.events.received(new Uint8Array(0x10000));
    assert.deepEqual(one.log, ['off']);
  });

  it('closes its own window while the host does not take what the guest sends', () => {
    const bench = new Bench();
    const { guest, host, one } = bench.open();
    let offset = 0, window = 0xffff;
    while (window > 0) {
      const [answer] = bench.tcp({ flags: ACK, sequence: (guest + offset) >>> 0, acknowledgement: host, data: new Uint8Array(1400) });
      offset = (answer.acknowledgement - guest) >>> 0;
      ({ window } = answer);
    }
    assert.equal(one.sent.length, 0xffff);
    one.events.sent(0xffff);
    assert.equal(bench.segments()[0].window, 0xffff, 'the guest is told');
  });

  it('tells the guest when the host fails, and the host when the guest resets', () => {
    const bench = new Bench();
    bench.tcp({ flags: SYN, sequence: 5 });
    bench.opened[0].events.failed();
    const [refused] = bench.segments();
    assert.deepEqual([refused.flags, refused.acknowledgement], [RST | ACK, 6]);
    const open = bench.open();
    open.one.events.failed();
    assert.equal(bench.segments()[0].flags & RST, RST);
    const { guest, one } = bench.open();
    bench.tcp({ flags: RST, sequence: guest - 100 });
    assert.deepEqual(one.log, [], 'outside the window');
    bench.tcp({ flags: RST, sequence: guest });
    assert.deepEqual(one.log, ['abort']);
    one.events.received(Uint8Array.of(1));
    one.events.ended();
    one.events.failed();
    assert.deepEqual(bench.segments(), [], 'too late');
  });

  it('bounds connections, and aborts them when the machine starts over', () => {
    const bench = new Bench();
    for (let n = 0; n < 300; n++) bench.tcp({ flags: SYN, sourcePort: 2000 + n });
    assert.equal(bench.opened.length, 256);
    bench.stack.reset();
    assert.equal(bench.opened.every(({ log }) => log[0] === 'abort'), true);
    assert.equal(bench.stack.active, false);
  });

  it('survives every frame', () => {
    const bench = new Bench('internet');
    bench.open();
    let seed = 1;
    const random = (most: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 8) % most;
    };
    for (let n = 0; n < 20_000; n++) {
      const payload = Uint8Array.from({ length: random(80) }, () => random(256));
      const protocol = [1, 6, 17, 47][random(4)], target = [GATEWAY, NAME_SERVER, ELSEWHERE, 0xffffffff][random(4)];
      if (protocol === 6 && payload.length >= 20) {
        payload.set([3, 232, 0, 80]);
        payload[12] = random(16) << 4;
        viewOf(payload).setUint16(16, 0);
        viewOf(payload).setUint16(16, pseudoChecksum({ source: GUEST, target, protocol, payload }));
      }
      const frame = ethernet(MAC, MAC, [0x800, 0x806, 0x86dd][random(3)], random(2) ? ip({ source: GUEST, target, protocol, payload }, n) : payload);
      bench.stack.transmitted(frame.subarray(0, random(20) ? frame.length : random(frame.length)));
      for (const { events } of bench.opened.splice(0)) (random(2) ? events.connected() : events.failed());
    }
    bench.frames.length = 0;
    bench.clock.seconds(10_000);
  });
});
