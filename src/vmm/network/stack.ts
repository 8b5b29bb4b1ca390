/**
 * The network behind a virtual card, without privileges on the host: one guest (10.0.2.15), a gateway that is the host (10.0.2.2) and a name
 * server (10.0.2.3). The guest's TCP connections end here and go on as connections of the host; nothing can be opened towards the guest.
 */
import { answerDhcp, type Lease } from './dhcp';
import { answerQuestion, isHostName, parseQuestion, RecordType, ResponseCode } from './dns';
import type { NetworkHost } from './host';
import { addressText, checksum, ETHERNET_BYTES, ethernet, EtherType, ip, parseIp, parseUdp, Protocol, pseudoChecksum, udp, viewOf, type Datagram, type IpPacket } from './packets';
import { parseSegment, resetFor, segmentBytes, TcpConnection, TcpFlag, type NetworkClock, type Segment } from './tcp';

export const GUEST = 0x0a00020f, GATEWAY = 0x0a000202, NAME_SERVER = 0x0a000203;
const NETWORK = 0x0a000200, MASK = 0xffffff00, BROADCAST = 0xffffffff;
const GATEWAY_MAC = Uint8Array.of(0x02, 0x52, 0x49, 0x4e, 0x47, 0x02), BROADCAST_MAC = new Uint8Array(6).fill(0xff);
const MAC_BYTES = 6;
const LOOPBACK = '127.0.0.1';
const CONNECTIONS_MAX = 256, QUESTIONS_MAX = 64;
const Port = { dns: 53, dhcpServer: 67, dhcpClient: 68 } as const;
const ARP_BYTES = 28, ARP_REQUEST = 1, ARP_REPLY = 2;
const Icmp = { reply: 0, unreachable: 3, echo: 8 } as const;
const PORT_UNREACHABLE = 3, UNREACHABLE_QUOTE = 28;
/** The name under which a guest finds the host. */
const HOST_NAME = 'host';

/** What guests may reach: the host's loopback interface, or whatever the host reaches. */
export type Reach = 'loopback' | 'internet';

export interface NetworkOptions {
  readonly clock: NetworkClock;
  readonly reach: Reach;
  /** Without one, connections are refused. */
  readonly host?: NetworkHost;
  /** A frame for the guest. */
  deliver(frame: Uint8Array): void;
}

const lease: Lease = { address: GUEST, mask: MASK, router: GATEWAY, dns: NAME_SERVER };

export class NetworkStack {
  private guestMac = BROADCAST_MAC;
  private readonly connections = new Map<string, TcpConnection>();
  private identification = 0;
  private opened = 0;
  private questions = 0;
  /** Answers to questions of before a reset are nobody's. */
  private generation = 0;

  constructor(private readonly options: NetworkOptions) {}

  /** Something is under way that only the host's time brings on. */
  get active(): boolean {
    return this.connections.size > 0 || this.questions > 0;
  }

  /** The guest starts over. */
  reset(): void {
    for (const connection of [...this.connections.values()]) connection.abort();
    this.guestMac = BROADCAST_MAC;
    this.questions = this.opened = this.identification = 0;
    this.generation++;
  }

  /** A frame from the guest. */
  transmitted(frame: Uint8Array): void {
    if (frame.length < ETHERNET_BYTES) return;
    const source = frame.subarray(MAC_BYTES, 2 * MAC_BYTES);
    // Groups have no cards.
    if (source[0] & 1) return;
    this.guestMac = source.slice();
    const payload = frame.subarray(ETHERNET_BYTES);
    switch (viewOf(frame).getUint16(12)) {
      case EtherType.arp: return this.arp(payload);
      case EtherType.ip: {
        const packet = parseIp(payload);
        if (packet) this.packet(packet);
        return;
      }
      default:
    }
  }

  private arp(request: Uint8Array): void {
    if (request.length < ARP_BYTES) return;
    const view = viewOf(request);
    const target = view.getUint32(24);
    if (view.getUint32(0) !== 0x00010800 || view.getUint16(4) !== 0x0604 || view.getUint16(6) !== ARP_REQUEST || (target !== GATEWAY && target !== NAME_SERVER)) return;
    const answer = request.slice(0, ARP_BYTES);
    viewOf(answer).setUint16(6, ARP_REPLY);
    answer.set(GATEWAY_MAC, 8);
    viewOf(answer).setUint32(14, target);
    answer.set(request.subarray(8, 18), 18);
    this.options.deliver(ethernet(this.guestMac, GATEWAY_MAC, EtherType.arp, answer));
  }

  private packet(packet: IpPacket): void {
    if (packet.protocol === Protocol.udp) {
      const datagram = parseUdp(packet);
      if (datagram) this.datagram(packet, datagram);
    } else if (packet.source !== GUEST) {
      // Nobody else lives there.
    } else if (packet.protocol === Protocol.tcp) {
      this.tcp(packet);
    } else if (packet.protocol === Protocol.icmp) {
      this.icmp(packet);
    }
  }

  private send(packet: IpPacket): void {
    this.identification = (this.identification + 1) & 0xffff;
    const target = packet.target === BROADCAST ? BROADCAST_MAC : this.guestMac;
    this.options.deliver(ethernet(target, GATEWAY_MAC, EtherType.ip, ip(packet, this.identification)));
  }

  private icmp({ target, payload }: IpPacket): void {
    if ((target !== GATEWAY && target !== NAME_SERVER) || payload.length < 8 || payload[0] !== Icmp.echo || checksum(payload) !== 0) return;
    this.sendIcmp(target, Icmp.reply, payload.slice());
  }

  private sendIcmp(source: number, type: number, payload: Uint8Array): void {
    payload[0] = type;
    viewOf(payload).setUint16(2, 0);
    viewOf(payload).setUint16(2, checksum(payload));
    this.send({ source, target: GUEST, protocol: Protocol.icmp, payload });
  }

  // ---- UDP ----

  private datagram(packet: IpPacket, datagram: Datagram): void {
    const { target, source } = packet;
    if (datagram.targetPort === Port.dhcpServer && (target === BROADCAST || target === GATEWAY)) {
      const answer = answerDhcp(datagram.data, lease);
      if (answer) this.send(udp(GATEWAY, target === BROADCAST ? BROADCAST : source, { sourcePort: Port.dhcpServer, targetPort: Port.dhcpClient, data: answer }));
    } else if (source !== GUEST) {
      // Without an address it may ask for one.
    } else if (target === NAME_SERVER && datagram.targetPort === Port.dns) {
      this.question(datagram);
    } else if (target !== BROADCAST && target >>> 28 !== 14 && target !== NETWORK + 0xff) {
      const quote = new Uint8Array(8 + UNREACHABLE_QUOTE);
      quote[1] = PORT_UNREACHABLE;
      quote.set(ip(packet, 0).subarray(0, UNREACHABLE_QUOTE), 8);
      this.sendIcmp(target, Icmp.unreachable, quote);
    }
  }

  private question({ sourcePort, data }: Datagram): void {
    const question = parseQuestion(data);
    if (!question) return;
    const query = data.slice();
    const answer = (code: number, addresses?: readonly string[]): void => {
      this.send(udp(NAME_SERVER, GUEST, { sourcePort: Port.dns, targetPort: sourcePort, data: answerQuestion(query, question, code, addresses) }));
    };
    const { name, type } = question;
    if (name.toLowerCase() === HOST_NAME) return answer(ResponseCode.none, type === RecordType.a ? [addressText(GATEWAY)] : []);
    // A question that goes out tells a name to the world.
    const { host, reach } = this.options;
    if (reach !== 'internet' || !host || this.questions >= QUESTIONS_MAX) return answer(ResponseCode.refused);
    if (!isHostName(name)) return answer(ResponseCode.noName);
    if (type !== RecordType.a && type !== RecordType.aaaa) return answer(ResponseCode.notImplemented);
    this.questions++;
    const { generation } = this;
    host.resolve(name, (addresses) => {
      if (generation !== this.generation) return;
      this.questions--;
      if (!addresses) answer(ResponseCode.failure);
      else if (addresses.length === 0) answer(ResponseCode.noName);
      // The network has no IPv6.
      else answer(ResponseCode.none, type === RecordType.a ? addresses : []);
    });
  }

  // ---- TCP ----

  private tcp(packet: IpPacket): void {
    const segment = pseudoChecksum(packet) === 0 ? parseSegment(packet.payload) : undefined;
    if (!segment) return;
    const { target } = packet;
    const key = `${segment.sourcePort} ${target}:${segment.targetPort}`;
    const connection = this.connections.get(key);
    if (connection) return connection.segment(segment);
    const address = (segment.flags & (TcpFlag.syn | TcpFlag.ack | TcpFlag.rst | TcpFlag.fin)) === TcpFlag.syn ? this.destination(target) : undefined;
    const { host, clock } = this.options;
    if (address === undefined || !host || segment.targetPort === 0 || this.connections.size >= CONNECTIONS_MAX) {
      const reset = resetFor(segment);
      if (reset) this.sendSegment(target, reset);
      return;
    }
    this.opened++;
    const initial = (Math.floor((clock.now() / clock.instructionsPerSecond) * 250_000) + this.opened * 64_000) >>> 0;
    const made = new TcpConnection({ ...segment, data: new Uint8Array() }, initial, {
      clock, transmit: (answer) => this.sendSegment(target, answer), closed: () => this.connections.delete(key),
      connect: (events) => host.connect(address, segment.targetPort, events),
    });
    this.connections.set(key, made);
  }

  private sendSegment(source: number, segment: Segment): void {
    const packet = { source, target: GUEST, protocol: Protocol.tcp, payload: segmentBytes(segment) };
    viewOf(packet.payload).setUint16(16, pseudoChecksum(packet));
    this.send(packet);
  }

  /** Where a connection to an address goes; undefined where it may not. */
  private destination(target: number): string | undefined {
    if (target === GATEWAY) return LOOPBACK;
    if (this.options.reach !== 'internet') return undefined;
    // This network and this host, the guest's own network, groups and broadcasts.
    const first = target >>> 24;
    if (first === 0 || first === 127 || first >= 224 || (target & MASK) >>> 0 === NETWORK) return undefined;
    return addressText(target);
  }
}
