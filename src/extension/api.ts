/** What activate() returns: the views as they are now. The tests use it, and so may other extensions. */
import type { MachineClient } from '../protocol/client';
import type { Screen } from '../protocol/messages';
import type { MachineViewModel, TranslationHeat, TranslationViewModel } from '../protocol/views';
import type { LineValues } from './debug/stepped-lines';

export interface RingsideApi {
  /** Texts that the Machine view was last sent. */
  machineModel(): MachineViewModel;
  /** Counter values last received, by id. */
  counters(): Readonly<Record<string, number>> | undefined;
  /** What the Machine webview shows, as text; undefined when it is not open. */
  machineViewText(): Promise<string | undefined>;
  /** What the screen webview shows, as text; undefined when it is not open. */
  screenViewText(): Promise<string | undefined>;
  /** What the Translation view was last sent. */
  translation(): { readonly model: TranslationViewModel; readonly heat: TranslationHeat };
  /** What the Translation webview shows, as text; undefined when it is not open. */
  translationViewText(): Promise<string | undefined>;
  screen(): Screen | undefined;
  /** Output of a serial terminal: COM1's unless told; the virtio console is port 4. */
  serialText(port?: number): string;
  /** Values that stand beside the lines that were stepped. */
  inlineValues(): readonly LineValues[];
  /** Types into a serial port, COM1 unless told. */
  typeSerial(text: string, port?: number): Promise<void>;
  /** The current machine itself. */
  client(): MachineClient | undefined;
}
