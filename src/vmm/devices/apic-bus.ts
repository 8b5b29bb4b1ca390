/**
 * What travels between I/O APICs, local APICs and devices that signal by message: interrupt messages, their destinations, and the end of a
 * level-triggered interrupt on its way back (SDM Vol. 3, 10.6 and 10.11; 82093AA datasheet).
 */

export const enum Delivery { Fixed = 0, LowestPriority = 1, Smi = 2, Nmi = 4, Init = 5, StartUp = 6, ExtInt = 7 }

/** A destination that means every processor, in both widths of destination fields once {@link wideDestination} has widened them. */
export const BROADCAST = 0xffffffff;

export interface InterruptMessage {
  readonly vector: number;
  readonly delivery: Delivery;
  /** Level-triggered: the end of the interrupt is reported back. */
  readonly level: boolean;
  /** 32 bits wide: an APIC ID, or a logical destination. */
  readonly destination: number;
  readonly logical: boolean;
}

/** What the bus sees of a local APIC. */
export interface ApicReceiver {
  /** Whether a message with this destination is for this processor. */
  matches(destination: number, logical: boolean): boolean;
  /** Whether a message of this kind would be taken now. */
  accepts(delivery: Delivery): boolean;
  /** The task and in-service priority that lowest-priority delivery compares. */
  readonly processorPriority: number;
  receive(message: InterruptMessage): void;
}

/** What the bus sees of an I/O APIC. */
export interface EndOfInterruptListener {
  endOfInterrupt(vector: number): void;
}

/** An 8-bit destination as messages carry it: FFh is everyone. */
export function wideDestination(destination: number): number {
  return destination === 0xff ? BROADCAST : destination;
}

/** Where message-signalled interrupts are written: FEEx xxxx. */
export function isMessageAddress(address: number): boolean {
  return (address >>> 20) === 0xfee;
}

export class ApicBus {
  private readonly receivers: ApicReceiver[] = [];
  private readonly listeners: EndOfInterruptListener[] = [];

  addProcessor(receiver: ApicReceiver): void {
    this.receivers.push(receiver);
  }

  addIoApic(listener: EndOfInterruptListener): void {
    this.listeners.push(listener);
  }

  /** Returns whether a processor took it. `except` is left out (shorthand "all excluding self"). */
  send(message: InterruptMessage, except?: ApicReceiver): boolean {
    const { delivery, destination, logical } = message;
    let accepted = false;
    let lowest: ApicReceiver | undefined;
    for (const receiver of this.receivers) {
      if (receiver === except || !receiver.matches(destination, logical) || !receiver.accepts(delivery)) continue;
      accepted = true;
      if (delivery !== Delivery.LowestPriority) receiver.receive(message);
      else if (lowest === undefined || receiver.processorPriority < lowest.processorPriority) lowest = receiver;
    }
    lowest?.receive(message);
    return accepted;
  }

  /**
   * A message-signalled interrupt (SDM Vol. 3, 10.11). Address: destination 19:12, redirection hint 3, destination mode 2. Data: trigger 15,
   * level 14, delivery mode 10:8, vector 7:0. Writes that go elsewhere than FEEx xxxx are no interrupts.
   */
  message(address: number, data: number): void {
    if (!isMessageAddress(address)) return;
    const hint = (address & 8) !== 0;
    const delivery = ((data >>> 8) & 7) as Delivery;
    this.send({
      vector: data & 0xff,
      delivery: hint && delivery === Delivery.Fixed ? Delivery.LowestPriority : delivery,
      level: (data & 0x8000) !== 0,
      destination: wideDestination((address >>> 12) & 0xff),
      // The SDM has the destination mode count with the hint alone; processors go by it always, and systems rely on that.
      logical: (address & 4) !== 0,
    });
  }

  /** A processor ended a level-triggered interrupt. */
  endOfInterrupt(vector: number): void {
    for (const listener of this.listeners) listener.endOfInterrupt(vector);
  }
}
