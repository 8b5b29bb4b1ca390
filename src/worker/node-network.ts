/** The network of the computer that Node runs on, for a guest's connections and questions for names. */
import dns from 'node:dns';
import net from 'node:net';
import type { NetworkHost } from '../vmm/network/host';

const noSuchName = new Set(['ENOTFOUND', 'ENODATA']);

export const nodeNetwork: NetworkHost = {
  connect: (address, port, events) => {
    const socket = net.connect({ host: address, port, allowHalfOpen: true, noDelay: true });
    let over = false;
    const fail = (): void => {
      if (over) return;
      over = true;
      socket.destroy();
      events.failed();
    };
    socket.on('connect', () => events.connected());
    socket.on('data', (bytes) => events.received(new Uint8Array(bytes)));
    socket.on('end', () => events.ended());
    socket.on('error', fail);
    socket.on('close', (broken) => {
      if (broken) fail();
    });
    return {
      send: (bytes) => {
        if (!over && !socket.destroyed) socket.write(bytes, (error) => { if (!error) events.sent(bytes.length); });
      },
      end: () => void socket.end(),
      abort: () => {
        over = true;
        socket.removeAllListeners('data');
        socket.destroy();
      },
      flow: (on) => void (on ? socket.resume() : socket.pause()),
    };
  },
  resolve: (name, done) => dns.lookup(name, { family: 4, all: true }, (error, addresses) => {
    if (!error) done(addresses.map(({ address }) => address));
    else done(noSuchName.has(error.code ?? '') ? [] : undefined);
  }),
};
