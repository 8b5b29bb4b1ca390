/** Debian's i386 kernel with its own virtio drivers: disks, the console, a shared folder and the network. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { extendedRamdisk } from '../../tools/lib/initramfs.mjs';
import { randomSource } from '../support/guest';
import { readGuest } from '../support/guests';
import { isoImage } from '../support/iso';
import { SerialGuest } from '../support/serial-guest';
import { VIRTIO_CONSOLE_PORT } from '../../src/vmm/machine/virtio';
import { nodeNetwork } from '../../src/worker/node-network';

/** In the order in which they need each other. */
const modules = [
  'virtio', 'virtio_ring', 'virtio_pci_legacy_dev', 'virtio_pci_modern_dev', 'virtio_pci', 'virtio_blk', 'virtio_console', 'netfs', 'fscache', '9pnet', '9pnet_virtio', '9p', 'cdrom', 'isofs',
] as const;

const networkModules = ['virtio', 'virtio_ring', 'virtio_pci_legacy_dev', 'virtio_pci_modern_dev', 'virtio_pci', 'failover', 'net_failover', 'virtio_net'] as const;

const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');

describe('Linux\'s virtio drivers', () => {
  it('use disks, the console and a shared folder', function () {
    const kernel = readGuest(this, 'vmlinuz-686'), root = readGuest(this, 'initramfs-i386');
    const initrd = extendedRamdisk(root, [{ path: 'm', directory: true }, ...modules.map((name) => ({ path: `m/${name}.ko`, bytes: readGuest(this, `${name}.ko`) }))]);
    const source = randomSource(5);
    const random = (length: number): Uint8Array => Uint8Array.from({ length }, () => source(256));
    const disk = random(1 << 20), text = random(300_000), shared = random(200_000);
    const guest = new SerialGuest('vmlinuz', kernel, {
      memoryMiB: 256, initrd, commandLine: 'console=ttyS0 cryptomgr.notests', virtioDisks: [disk, isoImage({ 'DATA/TEXT.BIN': text })], virtioConsole: true,
      sharedFolder: { tag: 'work', files: [{ path: 'data/shared.bin', bytes: shared, modified: 1_600_000_000 }, { path: 'hello.sh', bytes: new TextEncoder().encode('#!/bin/sh\necho from the share\n'), mode: 0o755 }] },
    });
    guest.untilText('guest# ', 120);
    const answer = (command: string): string => {
      guest.type(`${command}\n`);
      return guest.untilText('guest# ', 60).split('\n').slice(1).join('\n');
    };
    answer('dmesg -n 1');
    for (const name of modules) assert.doesNotMatch(answer(`insmod /m/${name}.ko`), /can't insert/, name);
    // Disks.
    assert.match(answer('md5sum /dev/vda'), new RegExp(md5(disk)));
    answer('mkdir /cd /s; mount -t iso9660 -o ro /dev/vdb /cd');
    assert.match(answer('md5sum /cd/data/text.bin'), new RegExp(md5(text)));
    answer('dd if=/cd/data/text.bin of=/dev/vda bs=512 seek=100 count=400 conv=fsync; echo 3 > /proc/sys/vm/drop_caches');
    assert.match(answer('dd if=/dev/vda bs=512 skip=100 count=400 2>/dev/null | md5sum'), new RegExp(md5(text.subarray(0, 512 * 400))));
    assert.equal(md5(guest.machine.changedDrive('virtioDisks[0]')!.subarray(51200, 51200 + 512 * 400)), md5(text.subarray(0, 512 * 400)));
    assert.match(answer('cat /sys/block/vda/serial'), /disk0/);
    // A vector for each queue, by messages.
    assert.match(answer('cat /proc/interrupts'), /PCI-MSI.*virtio0-config[^]*PCI-MSI.*virtio0-req\.0/);
    const [, taken] = /(\d+) +PCI-MSI.*virtio0-req\.0/.exec(answer('cat /proc/interrupts'))!;
    assert.ok(Number(taken) > 10, taken);
    // The console.
    answer('echo out of the console > /dev/hvc0');
    assert.match(guest.virtioText, /out of the console\r?\n/);
    answer('(read line < /dev/hvc0; echo "got $line") &');
    guest.machine.serialInput(VIRTIO_CONSOLE_PORT, new TextEncoder().encode('typed there\n'));
    guest.untilText('got typed there', 10);
    // The folder.
    assert.doesNotMatch(answer('mount -t 9p -o trans=virtio,version=9p2000.L,msize=65536 work /s'), /mount:/);
    assert.match(answer('md5sum /s/data/shared.bin'), new RegExp(md5(shared)));
    assert.match(answer('/s/hello.sh'), /from the share/);
    answer('cp /cd/data/text.bin /s/data/copy.bin; mkdir /s/new; mv /s/data/copy.bin /s/new/moved.bin; ln -s new/moved.bin /s/link; echo more >> /s/hello.sh; rm /s/data/shared.bin');
    answer('umount /s; mount -t 9p -o trans=virtio,version=9p2000.L work /s');
    assert.match(answer('md5sum /s/link'), new RegExp(md5(text)));
    assert.match(answer('ls -l /s /s/data /s/new; tail -1 /s/hello.sh; df /s'), /link -> new\/moved\.bin[^]*moved\.bin[^]*more\n[^]*work/);
    assert.doesNotMatch(answer('ls /s/data'), /shared/);
    for (let n = 0; n < 3; n++) answer('for i in 1 2 3 4 5 6 7 8 9; do mkdir -p /s/many/$i; echo $i > /s/many/$i/file; done');
    assert.match(answer('cat /s/many/*/file | wc -l; rm -r /s/many; ls /s'), /9\n[^]*hello\.sh/);
    assert.doesNotMatch(answer('ls /s'), /many/);
    assert.doesNotMatch(answer('dmesg | tail -40'), /error|timeout|BUG|WARNING/i);
    guest.type('poweroff -f\n');
    guest.untilEnd(20);
  }).timeout(240_000);

  it('use the network card: a lease, names, and connections to servers of this computer', async function () {
    const kernel = readGuest(this, 'vmlinuz-686'), root = readGuest(this, 'initramfs-i386');
    const source = randomSource(6);
    const file = Uint8Array.from({ length: 700_000 }, () => source(256));
    const uploaded: Buffer[] = [];
    const web = http.createServer((request, response) => response.writeHead(request.url === '/file' ? 200 : 404).end(request.url === '/file' ? file : undefined));
    const echo = net.createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('data', (bytes) => {
        uploaded.push(bytes);
        socket.write(bytes);
      });
      socket.on('end', () => socket.end());
    });
    const portOf = async (server: net.Server): Promise<number> => {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return (server.address() as AddressInfo).port;
    };
    try {
      const webPort = await portOf(web), echoPort = await portOf(echo);
      const script = '#!/bin/sh\nifconfig $interface $ip netmask $subnet; ip route add default via $router; echo nameserver $dns > /etc/resolv.conf; echo bound $ip $router $dns $lease\n';
      const initrd = extendedRamdisk(root, [
        { path: 'm', directory: true }, { path: 'etc', directory: true }, { path: 'lease', bytes: Buffer.from(script), executable: true },
        ...['nc', 'nslookup', 'telnet'].map((name) => ({ path: `bin/${name}`, link: 'busybox' })),
        ...networkModules.map((name) => ({ path: `m/${name}.ko`, bytes: readGuest(this, `${name}.ko`) })),
      ]);
      const guest = new SerialGuest('vmlinuz', kernel, {
        memoryMiB: 256, initrd, commandLine: 'console=ttyS0 cryptomgr.notests', network: 'loopback',
      }, nodeNetwork);
      guest.untilText('guest# ', 120);
      const answer = async (command: string): Promise<string> => {
        guest.type(`${command}\n`);
        return (await guest.meanwhile(/guest# /, 60)).split('\n').slice(1).join('\n');
      };
      await answer('dmesg -n 1; ifconfig lo up');
      for (const name of networkModules) assert.doesNotMatch(await answer(`insmod /m/${name}.ko`), /can't insert/, name);
      assert.match(await answer('ip link set eth0 up; udhcpc -i eth0 -q -f -s /lease'), /bound 10\.0\.2\.15 10\.0\.2\.2 10\.0\.2\.3 86400/);
      assert.match(await answer('ping -c 2 10.0.2.2'), /2 packets received|2 received/);
      assert.match(await answer('nslookup host'), /10\.0\.2\.2/);
      assert.match(await answer('nslookup example.org'), /REFUSED|can't find|can't resolve/i);
      assert.match(await answer(`wget -q -O - http://10.0.2.2:${webPort}/file | md5sum`), new RegExp(md5(file)));
      assert.match(await answer(`wget -O - http://host:${webPort}/nothing`), /404/);
      assert.match(await answer(`dd if=/dev/urandom of=/tmp/up bs=1k count=300 2>/dev/null; nc 10.0.2.2 ${echoPort} < /tmp/up | md5sum; md5sum /tmp/up`), /([0-9a-f]{32}) [^]*\1 /);
      assert.equal(Buffer.concat(uploaded).length, 300 * 1024);
      assert.match(await answer('wget -O - http://192.0.2.1/'), /refused/);
      assert.match(await answer('wget -O - http://10.0.2.2:1/'), /refused/);
      await answer('sleep 1');
      assert.equal(guest.machine.awaitsHost, false);
      guest.type('poweroff -f\n');
      guest.untilEnd(20);
    } finally {
      web.close();
      echo.close();
    }
  }).timeout(240_000);
});
