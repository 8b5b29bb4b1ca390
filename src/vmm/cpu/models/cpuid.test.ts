import assert from 'node:assert/strict';
import { table } from '../../isa/table';
import { callouts } from '../callouts';
import { findMsr } from '../msr';
import { TestCpu } from '../test-cpu';
import { modelLeaf, type CpuidLeaf } from './cpuid';
import { featureRows } from './features';
import { cpuModelNames, cpuModels, isCpuModelName } from './models';

const text = (...values: number[]): string => Buffer.from(new Int32Array(values).buffer).toString().replace(/\0+$/, '');
const name = (leaves: readonly CpuidLeaf[]): string => text(...leaves.flatMap(({ eax, ebx, ecx, edx }) => [eax, ebx, ecx, edx]));

describe('processor models', () => {
  it('announce exactly the instructions that they execute', () => {
    const declared: ReadonlySet<string> = new Set(table.instructions.map((row) => row.feature ?? '8086'));
    const withBit: ReadonlySet<string> = new Set(featureRows.flatMap((row) => row.instructions ?? []));
    for (const model of Object.values(cpuModels)) {
      for (const row of featureRows) {
        for (const feature of row.instructions ?? []) {
          if (model.has(row.id)) {
            assert.ok(declared.has(feature), `${model.name} announces ${row.id}, and the table has no ${feature} instructions`);
            assert.ok(model.executes(feature));
          }
        }
      }
      for (const feature of declared) {
        const announced = featureRows.some((row) => model.has(row.id) && row.instructions?.includes(feature));
        if (withBit.has(feature)) assert.equal(model.executes(feature), announced, `${model.name}: ${feature}`);
      }
    }
  });
  it('the largest executes every instruction of the table', () => {
    const declared: ReadonlySet<string> = new Set(table.instructions.map((row) => row.feature ?? '8086'));
    for (const { mnemonic, feature = '8086' } of table.instructions) {
      // A feature is announced when all that it brings is there.
      const waits = featureRows.some(({ instructions }) => instructions?.includes(feature) && instructions.some((other) => !declared.has(other)));
      assert.ok(waits || cpuModels.max.executes(feature), `${mnemonic} needs ${feature}`);
    }
  });
  it('each has all that the smaller ones have', () => {
    for (let n = 1; n < cpuModelNames.length; n++) {
      const [small, large] = [cpuModels[cpuModelNames[n - 1]], cpuModels[cpuModelNames[n]]];
      for (const row of featureRows) if (small.has(row.id)) assert.ok(large.has(row.id), `${large.name} lacks ${row.id}`);
      assert.equal(small.cr4 & ~large.cr4, 0);
      assert.equal(small.efer & ~large.efer, 0);
    }
  });
  it('leave out what came later', () => {
    for (const feature of ['tsc', 'cx8', 'cmov', 'msr', 'sep', 'pentium']) assert.equal(cpuModels['486'].executes(feature), false, feature);
    for (const feature of ['cmov', 'sep', 'sse', 'p6']) assert.equal(cpuModels.pentium.executes(feature), false, feature);
    for (const feature of ['sse2', 'x64']) assert.equal(cpuModels.p6.executes(feature), false, feature);
    for (const id of ['pages1g', 'smep', 'rdtscp', 'pcid'] as const) assert.equal(cpuModels.core.has(id), false, id);
  });
  it('are known by name', () => {
    for (const known of cpuModelNames) assert.ok(isCpuModelName(known));
    assert.equal(isCpuModelName('toString'), false);
  });
});

describe('CPUID', () => {
  it('names the vendor; a leaf too high answers like the last', () => {
    const t = new TestCpu();
    t.cpu.state.set32(0, 0);
    callouts.cpuid(t.cpu);
    assert.equal(text(t.cpu.state.get32(3), t.cpu.state.get32(2), t.cpu.state.get32(1)), 'GenuineIntel');
    for (const leaf of [3, 0x7fffffff, 0x80000009, 0xffffffff]) assert.deepEqual(modelLeaf(cpuModels.p6, leaf), modelLeaf(cpuModels.p6, 2));
    assert.deepEqual(modelLeaf(cpuModels['486'], 0x80000000), modelLeaf(cpuModels['486'], 1), 'no extended leaves');
  });
  it('has the signature of RESET in leaf 1, and the features', () => {
    for (const model of Object.values(cpuModels)) {
      const t = new TestCpu(model);
      assert.equal(t.cpu.state.get32(2), model.signature);
      const leaf = modelLeaf(model, 1);
      assert.equal(leaf.eax, model.signature);
      for (const row of featureRows) if (row.leaf === 1) assert.equal((leaf[row.register] >>> row.bit) & 1, model.has(row.id) ? 1 : 0, `${model.name} ${row.id}`);
    }
    for (const bit of [1, 2, 3, 4, 5, 6, 8, 11, 13, 15, 17]) assert.ok(modelLeaf(cpuModels.p6, 1).edx & (1 << bit), `bit ${bit}`);
  });
  it('extended leaves tell of NX, the name and the address sizes; those between are zero', () => {
    const leaf = (n: number) => modelLeaf(cpuModels.p6, n | 0);
    assert.equal(leaf(0x80000000).eax >>> 0, 0x80000008);
    assert.equal(leaf(0x80000001).edx, 1 << 20);
    assert.equal(name([leaf(0x80000002), leaf(0x80000003), leaf(0x80000004)]), 'Ringside P6-class processor');
    assert.deepEqual(leaf(0x80000006), { eax: 0, ebx: 0, ecx: 0, edx: 0 });
    assert.equal(leaf(0x80000008).eax, 0x2024);
    assert.equal(modelLeaf(cpuModels.max, 0x80000008).eax & 0xff, cpuModels.max.physicalAddressBits);
  });
  it('leaf 7 has sub-leaves up to the one that its EAX says', () => {
    assert.notEqual(modelLeaf(cpuModels.max, 7).ebx, 0);
    assert.equal(modelLeaf(cpuModels.max, 7).eax, 2);
    assert.deepEqual(modelLeaf(cpuModels.max, 7, 1), { eax: 0, ebx: 0, ecx: 0, edx: 0 });
    assert.deepEqual(modelLeaf(cpuModels.max, 7, 2), { eax: 0, ebx: 0, ecx: 0, edx: 0x10 });
    assert.deepEqual(modelLeaf(cpuModels.max, 7, 3), { eax: 0, ebx: 0, ecx: 0, edx: 0 });
  });
  it('models tell a microcode revision that systems know no defects of, and that nothing is executed speculatively', () => {
    for (const [model, revision] of [['p6', 2n], ['core', 0xban], ['max', 0xb8n]] as const) {
      const t = new TestCpu(cpuModels[model]);
      findMsr(cpuModels[model], 0x8b)!.write(t.cpu, 0n);
      assert.equal(findMsr(cpuModels[model], 0x8b)!.read(t.cpu) >> 32n, revision, model);
      assert.equal(findMsr(cpuModels[model], 0x10a) !== undefined, model !== 'p6', model);
    }
    const t = new TestCpu(cpuModels.max);
    findMsr(cpuModels.max, 0x48)!.write(t.cpu, 0x401n);
    assert.equal(findMsr(cpuModels.max, 0x48)!.read(t.cpu), 0x401n);
    assert.throws(() => findMsr(cpuModels.max, 0x48)!.write(t.cpu, 2n));
    findMsr(cpuModels.max, 0x49)!.write(t.cpu, 1n);
    assert.throws(() => findMsr(cpuModels.max, 0x49)!.read(t.cpu));
  });
  it('shows the local APIC while it is there', () => {
    const t = new TestCpu(cpuModels.max);
    t.cpu.state.set32(0, 1);
    callouts.cpuid(t.cpu);
    assert.equal(t.cpu.state.get32(2) & 0x200, 0, 'this board has none');
  });
});

describe('topology', () => {
  const seen = (name: 'p6' | 'core' | 'max', apicId: number, processors: number) => {
    const t = new TestCpu(cpuModels[name]);
    t.apic = { apicId, processors, globallyEnabled: true, taskPriority: 0, readMsr: () => undefined, writeMsr: () => false, timeStampChanged: () => undefined };
    return (leaf: number, subleaf = 0): readonly number[] => {
      t.cpu.state.set32(0, leaf);
      t.cpu.state.set32(1, subleaf);
      callouts.cpuid(t.cpu);
      return [0, 3, 1, 2].map((n) => t.cpu.state.get32(n));
    };
  };
  it('shows cores of one package', () => {
    const cpuid = seen('max', 2, 3);
    const [, ebx, , edx] = cpuid(1);
    assert.deepEqual([ebx >>> 24, (ebx >>> 16) & 0xff, (edx >>> 28) & 1, (edx >>> 9) & 1], [2, 4, 1, 1]);
    assert.equal(cpuid(4)[0] >>> 26, 3);
    assert.equal(cpuid(4, 2)[0], 0);
    assert.deepEqual([cpuid(0xb, 0), cpuid(0xb, 1), cpuid(0xb, 2)], [[0, 1, 0x100, 2], [2, 3, 0x201, 2], [0, 0, 2, 2]]);
  });
  it('shows one processor as one', () => {
    const cpuid = seen('max', 0, 1);
    assert.equal((cpuid(1)[3] >>> 28) & 1, 0);
    assert.deepEqual([cpuid(0xb, 0), cpuid(0xb, 1)], [[0, 1, 0x100, 0], [0, 1, 0x201, 0]]);
  });
  it('makes older processors packages of their own', () => {
    const [, ebx, , edx] = seen('p6', 1, 2)(1);
    assert.deepEqual([ebx >>> 24, (ebx >>> 16) & 0xff, (edx >>> 28) & 1], [1, 0, 0]);
  });
});
