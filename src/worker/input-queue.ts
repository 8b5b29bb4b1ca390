/** Typed and pasted input that the guest's devices have not taken yet: their queues are as short as real ones, a paste is not. */
import { MachineError } from '../vmm/machine/api';

/** No device takes more at once. */
const maximumOffer = 4096;

export class InputQueue<Item extends number[] | Uint8Array> {
  private waiting: number[] = [];

  /**
   * @param name for the message when there is too much
   * @param offer gives items to the device and tells how many it took
   */
  constructor(private readonly name: string, private readonly most: number, private readonly make: (items: number[]) => Item, private readonly offer: (items: Item) => number) {}

  /** @throws MachineError 'input' when more is waiting than anybody typed. */
  push(items: ArrayLike<number>): void {
    if (this.waiting.length + items.length > this.most) {
      throw new MachineError('input', `${this.name}: ${this.waiting.length} bytes are waiting already, ${items.length} more are too many`, 'Wait until the guest has read some.');
    }
    for (let n = 0; n < items.length; n++) this.waiting.push(items[n] ?? 0);
    this.pump();
  }

  /** Offers what waits. @returns whether the device took anything. */
  pump(): boolean {
    if (this.waiting.length === 0) return false;
    const taken = this.offer(this.make(this.waiting.slice(0, maximumOffer)));
    this.waiting = this.waiting.slice(taken);
    return taken > 0;
  }

  clear(): void {
    this.waiting = [];
  }
}
