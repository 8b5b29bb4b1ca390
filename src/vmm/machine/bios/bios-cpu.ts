/**
 * The processor as a BIOS service sees it, and the call that the service works on. Services run in real mode (or virtual-8086 mode with identity paging): segment bases
 * plus offsets are guest-physical addresses.
 */
import type { PhysicalBytes } from '../../devices/device';
import { ROM_BASE } from './layout';

/** What the board offers. Registers and segments by the encoding's numbers. */
export interface BiosCpu {
  /** EAX ECX EDX EBX ESP EBP ESI EDI, as unsigned 32 bits. */
  getRegister(index: number): number;
  setRegister(index: number, value: number): void;
  /** ES CS SS DS FS GS. */
  segmentBase(segment: number): number;
  /** As MOV to a segment register does in real mode. */
  loadRealSegment(segment: number, selector: number): void;
  /** Offset of the instruction behind the OUT. A service may change it. */
  getEip(): number;
  setEip(value: number): void;
}

export const enum Reg { AX, CX, DX, BX, SP, BP, SI, DI }
export const enum Seg { ES, CS, SS, DS }

const CARRY = 0x01, ZERO = 0x40;

/** Registers by name, and the flags that IRET will restore from the stack. */
export class BiosCall {
  constructor(readonly cpu: BiosCpu, readonly memory: PhysicalBytes) {}

  private get16(reg: Reg): number { return this.cpu.getRegister(reg) & 0xffff; }
  private set16(reg: Reg, value: number): void { this.cpu.setRegister(reg, ((this.cpu.getRegister(reg) & 0xffff0000) | (value & 0xffff)) >>> 0); }
  private getHigh(reg: Reg): number { return (this.cpu.getRegister(reg) >>> 8) & 0xff; }
  private setHigh(reg: Reg, value: number): void { this.set16(reg, (this.get16(reg) & 0xff) | (value & 0xff) << 8); }
  private setLow(reg: Reg, value: number): void { this.set16(reg, (this.get16(reg) & 0xff00) | (value & 0xff)); }

  get eax(): number { return this.cpu.getRegister(Reg.AX) >>> 0; }
  set eax(value: number) { this.cpu.setRegister(Reg.AX, value >>> 0); }
  get ebx(): number { return this.cpu.getRegister(Reg.BX) >>> 0; }
  set ebx(value: number) { this.cpu.setRegister(Reg.BX, value >>> 0); }
  get ecx(): number { return this.cpu.getRegister(Reg.CX) >>> 0; }
  set ecx(value: number) { this.cpu.setRegister(Reg.CX, value >>> 0); }
  get edx(): number { return this.cpu.getRegister(Reg.DX) >>> 0; }
  set edx(value: number) { this.cpu.setRegister(Reg.DX, value >>> 0); }

  get ax(): number { return this.get16(Reg.AX); }
  set ax(value: number) { this.set16(Reg.AX, value); }
  get bx(): number { return this.get16(Reg.BX); }
  set bx(value: number) { this.set16(Reg.BX, value); }
  get cx(): number { return this.get16(Reg.CX); }
  set cx(value: number) { this.set16(Reg.CX, value); }
  get dx(): number { return this.get16(Reg.DX); }
  set dx(value: number) { this.set16(Reg.DX, value); }
  get sp(): number { return this.get16(Reg.SP); }
  get bp(): number { return this.get16(Reg.BP); }
  set bp(value: number) { this.set16(Reg.BP, value); }
  get si(): number { return this.get16(Reg.SI); }
  get di(): number { return this.get16(Reg.DI); }
  set di(value: number) { this.set16(Reg.DI, value); }

  get al(): number { return this.get16(Reg.AX) & 0xff; }
  set al(value: number) { this.setLow(Reg.AX, value); }
  get ah(): number { return this.getHigh(Reg.AX); }
  set ah(value: number) { this.setHigh(Reg.AX, value); }
  get bl(): number { return this.get16(Reg.BX) & 0xff; }
  set bl(value: number) { this.setLow(Reg.BX, value); }
  get bh(): number { return this.getHigh(Reg.BX); }
  set bh(value: number) { this.setHigh(Reg.BX, value); }
  get cl(): number { return this.get16(Reg.CX) & 0xff; }
  set cl(value: number) { this.setLow(Reg.CX, value); }
  get ch(): number { return this.getHigh(Reg.CX); }
  set ch(value: number) { this.setHigh(Reg.CX, value); }
  get dl(): number { return this.get16(Reg.DX) & 0xff; }
  set dl(value: number) { this.setLow(Reg.DX, value); }
  get dh(): number { return this.getHigh(Reg.DX); }
  set dh(value: number) { this.setHigh(Reg.DX, value); }

  /** Guest-physical address of segment:offset, the offset cut to 16 bits. */
  address(segment: Seg, offset: number): number {
    return (this.cpu.segmentBase(segment) + (offset & 0xffff)) >>> 0;
  }

  setEs(selector: number): void {
    this.cpu.loadRealSegment(Seg.ES, selector);
  }

  /** FLAGS of the interrupt frame IP, CS, FLAGS at SS:SP. */
  private get flagsAddress(): number {
    return this.address(Seg.SS, this.sp + 4);
  }

  private setFlag(mask: number, on: boolean): void {
    const flags = this.memory.read16(this.flagsAddress);
    this.memory.write16(this.flagsAddress, on ? flags | mask : flags & ~mask);
  }

  set carry(on: boolean) { this.setFlag(CARRY, on); }
  set zero(on: boolean) { this.setFlag(ZERO, on); }

  /** Caller's CS:IP, for messages. */
  get caller(): { cs: number; ip: number } {
    return { cs: this.memory.read16(this.address(Seg.SS, this.sp + 2)), ip: this.memory.read16(this.address(Seg.SS, this.sp)) };
  }

  /** Puts a far address on the stack, for a stub that ends with RETF. */
  pushFar(segment: number, offset: number): void {
    const sp = (this.sp - 4) & 0xffff;
    this.set16(Reg.SP, sp);
    this.memory.write16(this.address(Seg.SS, sp), offset);
    this.memory.write16(this.address(Seg.SS, sp + 2), segment);
  }

  /** Goes on at an offset of the ROM, whichever CS it was entered with. */
  jump(romOffset: number): void {
    this.cpu.setEip((ROM_BASE + romOffset - this.cpu.segmentBase(Seg.CS)) >>> 0);
  }

  /** Lets interrupts in and asks again after the next one (see `service` in rom.ts). */
  wait(): void {
    this.cpu.setEip(this.cpu.getEip() + 1);
  }
}
