/** What differs between the Node and the browser extension host. Everything else of the extension is the same code. */
import type { Assembler } from '../adapter/services';
import type { ClientChannel } from '../protocol/channel';

export interface ExtensionHost {
  /** Resolves when workers can be started; the function it gives starts one machine's worker. */
  prepareLauncher(): Promise<() => ClientChannel>;
  /** Assembles with the nasm program; absent where no program can be started. */
  nasm?(program: string): Assembler;
}
