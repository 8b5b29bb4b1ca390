/**
 * The guest's text on its way to the debug console: decoded, gathered for a moment, and cut when it comes faster than anybody reads.
 */

const gatherMilliseconds = 30;
/** Characters in one moment; about four screens. */
const maximumCharacters = 0x4000;

export class ConsoleOutput {
  private readonly decoder = new TextDecoder('utf-8');
  private text = '';
  private omitted = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly send: (text: string) => void) {}

  write(bytes: Uint8Array): void {
    const text = this.decoder.decode(bytes, { stream: true });
    const room = maximumCharacters - this.text.length;
    this.text += text.slice(0, room);
    this.omitted += Math.max(0, text.length - room);
    this.timer ??= setTimeout(() => this.flush(), gatherMilliseconds);
  }

  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const { text, omitted } = this;
    this.text = '';
    this.omitted = 0;
    if (text) this.send(text);
    if (omitted > 0) this.send(`\n[${omitted} characters omitted: the guest prints faster than they can be shown]\n`);
  }
}
