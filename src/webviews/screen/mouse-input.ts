/**
 * The pointer as the guest's mouse. While the screen has the focus, moves over the picture count; captured (pointer lock), the pointer disappears and
 * has no edges. A PS/2 mouse knows movements only, so a guest's own pointer need not be under the person's.
 */
import type { MouseMovement } from '../../protocol/messages';

/** Reports are collected for this long: no guest asks more often. */
const intervalMilliseconds = 10;
const wheelStep = 50;

export class MouseInput {
  private x = 0;
  private y = 0;
  private wheel = 0;
  private buttons = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly screen: HTMLElement,
    private readonly canvas: HTMLCanvasElement,
    private readonly active: () => boolean,
    private readonly send: (movement: MouseMovement) => void,
  ) {
    screen.addEventListener('mousemove', (event) => this.move(event));
    screen.addEventListener('mousedown', (event) => this.press(event));
    window.addEventListener('mouseup', (event) => this.press(event));
    screen.addEventListener('contextmenu', (event) => event.preventDefault());
    screen.addEventListener('wheel', (event) => {
      if (!active()) return;
      this.wheel += event.deltaY / wheelStep;
      this.later();
      event.preventDefault();
    }, { passive: false });
  }

  capture(): void {
    // Refused where the page may not: then moves over the picture still count.
    Promise.resolve(this.screen.requestPointerLock()).catch(() => undefined);
  }

  release(): void {
    if (document.pointerLockElement) document.exitPointerLock();
  }

  private move(event: MouseEvent): void {
    if (!this.active()) return;
    // One of the guest's pixels for one on the screen.
    this.x += event.movementX * this.canvas.width / Math.max(1, this.canvas.clientWidth);
    this.y -= event.movementY * this.canvas.height / Math.max(1, this.canvas.clientHeight);
    this.later();
  }

  private press(event: MouseEvent): void {
    const buttons = this.active() ? event.buttons & 7 : 0;
    if (buttons === this.buttons) return;
    this.buttons = buttons;
    this.flush();
  }

  private later(): void {
    this.timer ??= setTimeout(() => this.flush(), intervalMilliseconds);
  }

  private flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const x = Math.trunc(this.x), y = Math.trunc(this.y), wheel = Math.trunc(this.wheel);
    this.x -= x;
    this.y -= y;
    this.wheel -= wheel;
    this.send({ x, y, wheel, buttons: this.buttons });
  }
}
