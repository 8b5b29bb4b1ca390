/** How much of a folder a machine gets: all that reads one for a MachineConfiguration counts here. */

export const SHARED_BYTES_MAX = 64 << 20, SHARED_FILES_MAX = 10_000;
export const DEFAULT_TAG = 'share';

/** Counts files and bytes; the first one too many gives the reason in words. */
export class SharedFolderMeter {
  private files = 0;
  private bytes = 0;

  /** One more file or folder of so many bytes. @returns what is wrong, or undefined */
  add(bytes: number): string | undefined {
    this.files++;
    this.bytes += bytes;
    if (this.files > SHARED_FILES_MAX) return `it has more than ${SHARED_FILES_MAX.toLocaleString('en')} files and folders`;
    if (this.bytes > SHARED_BYTES_MAX) return `its files have more than ${SHARED_BYTES_MAX / (1 << 20)} MiB`;
    return undefined;
  }
}

export const SHARED_FOLDER_ADVICE = 'Share a smaller folder: the guest gets a copy of it in memory.';
