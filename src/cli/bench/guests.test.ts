import assert from 'node:assert/strict';
import { guestPhases, guestWork, PhaseMarks } from './guest-phases';
import { guestTable, ownMemoryMiB, phaseSeconds } from './guest-report';
import { parseMappings } from './process-memory';

describe('the benchmark of Linux guests', () => {
  it('finds its marks in order, wherever the bytes are cut', () => {
    const found: string[] = [];
    const marks = new PhaseMarks(guestPhases(300), (text) => { found.push(text); });
    const line = 'bench begin forks is too early\nLinux version 6.1\nringside-guest-ready\nbench begin forks\nbench end forks\nbench begin sums\n';
    for (const byte of Buffer.from(line)) marks.write(Uint8Array.of(byte));
    assert.deepEqual(found, ['Linux version', 'ringside-guest-ready', 'bench begin forks', 'bench end forks', 'bench begin sums']);
    assert.equal(marks.complete, false);
    marks.write(Buffer.from('bench end sums\n'));
    assert.equal(marks.complete, true);
  });

  it('asks for the work that it times', () => {
    const names = guestWork(20_000).replace('ringside.bench=', '').split(',').map((work) => work.split(':')[0]);
    assert.deepEqual(guestPhases(20_000).flatMap(({ from }) => from?.replace('bench begin ', '') ?? []), names);
    assert.match(guestWork(20_000), /forks:20000/);
  });

  it('tells medians of the starts, and the memory without the guest\'s', () => {
    const time = (wallMilliseconds: number, cpuMilliseconds: number) => ({ wallMilliseconds, cpuMilliseconds });
    const MiB = 1 << 20;
    const ours = { guest: 'linux-686', contestant: 'ringside', phases: { init: [time(9000, 4000), time(3000, 5000), time(5000, 6000)] }, memory: { init: { resident: 300 * MiB, guest: 120 * MiB } } };
    assert.equal(phaseSeconds(ours, 'init'), 4);
    assert.equal(phaseSeconds(ours, 'forks'), undefined);
    assert.equal(ownMemoryMiB(ours, 'init'), 180);
    const theirs = { ...ours, contestant: 'v86', phases: { init: [time(12000, 13000)] }, error: 'the guest ended' };
    assert.match(guestTable([ours, theirs], 300), /power-on to the first program +s +4\.00 +12\.0 +3\.00\n[^]*v86 on linux-686: the guest ended/);
  });

  it('reads resident sizes of mappings', () => {
    const smaps = '10000-20000 rw-p 00000000 00:00 0 \nSize:  64 kB\nRss:                  12 kB\nPss: 12 kB\n7f00-8000 r--s 00000000 fd:00 12  /some Rss: 99 kB\nRss: 0 kB\n';
    assert.deepEqual(parseMappings(smaps), [{ start: 0x10000, bytes: 0x10000, resident: 12288 }, { start: 0x7f00, bytes: 0x100, resident: 0 }]);
  });
});
