/** The picture of a text mode as cells: what a terminal-like view shows and a person can select and hear. */
import { fonts } from './fonts';
import { AR, CR, SR, type VgaState } from './registers';
import { attributeColours, displayLines, isShown, lineCompare, memoryAddress, startAddress } from './scan';

/** What a view can be asked to show, whatever the guest puts into the CRTC. */
const COLUMNS_MAX = 160, ROWS_MAX = 100;
/** A character map in plane 2: 256 characters of 32 lines. */
const MAP_BYTES = 0x2000, GLYPH_BYTES = 32;

/** Same shape as the protocol's ScreenText. */
export interface TextScreen {
  readonly kind: 'text';
  readonly columns: number;
  readonly rows: number;
  /** columns*rows*2 bytes: character, attribute. */
  readonly cells: Uint8Array;
  readonly cursor: { readonly visible: boolean; readonly column: number; readonly row: number };
  /** Sixteen colours, 0xRRGGBB. */
  readonly colours: readonly number[];
  /** Attribute bit 7 blinks instead of making the background bright. */
  readonly blinks: boolean;
  readonly cell: { readonly width: number; readonly height: number };
  /** 32 lines for each of 256 characters (512 when attribute bit 3 chooses another font); absent while the guest uses the character generator's own. */
  readonly font?: Uint8Array;
}

export function readText(state: VgaState, planes: Int32Array, colour: (dac: number) => number): TextScreen {
  const { crtc, sequencer, attribute } = state;
  const columns = Math.min(COLUMNS_MAX, crtc[CR.horizontalEnd] + 1);
  const height = (crtc[CR.maximumScan] & 0x1f) + 1;
  const rowLines = height * (crtc[CR.maximumScan] & 0x80 ? 2 : 1);
  const rows = Math.max(1, Math.min(ROWS_MAX, Math.floor(displayLines(crtc) / rowLines)));
  const start = startAddress(crtc) + ((crtc[CR.presetRow] >> 5) & 3), pitch = 2 * crtc[CR.offset];
  const splitRow = Math.ceil((lineCompare(crtc) + 1) / rowLines);
  const cells = new Uint8Array(columns * rows * 2);
  const cursorAddress = memoryAddress(crtc, crtc[CR.cursorHigh] << 8 | crtc[CR.cursorLow], 0);
  const shown = isShown(state);
  let cursorColumn = -1, cursorRow = -1;
  for (let row = 0; row < rows && shown; row++) {
    const first = row >= splitRow ? (row - splitRow) * pitch : start + row * pitch;
    for (let column = 0; column < columns; column++) {
      const address = memoryAddress(crtc, (first + column) & 0xffff, 0);
      const word = planes[address];
      const at = 2 * (row * columns + column);
      cells[at] = word & 0xff;
      cells[at + 1] = (word >> 8) & 0xff;
      if (address === cursorAddress && cursorRow < 0) {
        cursorColumn = column;
        cursorRow = row;
      }
    }
  }
  const visible = (crtc[CR.cursorStart] & 0x20) === 0 && (crtc[CR.cursorStart] & 0x1f) <= (crtc[CR.cursorEnd] & 0x1f) && cursorRow >= 0;
  const font = loadedFont(state, planes, height);
  return {
    kind: 'text', columns, rows, cells, cursor: { visible, column: Math.max(0, cursorColumn), row: Math.max(0, cursorRow) },
    colours: attributeColours(state).map(colour), blinks: (attribute[AR.mode] & 8) !== 0, cell: { width: sequencer[SR.clocking] & 1 ? 8 : 9, height }, ...(font && { font }),
  };
}

/** Plane address of the fonts for attribute bit 3 clear and set: map numbers have their lowest bit in an odd place. */
export function fontAddresses(sequencer: readonly number[]): readonly [clear: number, set: number] {
  const select = sequencer[SR.characterMap];
  const address = (low: number, high: number): number => (((low & 3) * 2) | high) * MAP_BYTES;
  return [address(select, (select >> 4) & 1), address(select >> 2, (select >> 5) & 1)];
}

/** Fonts that were compared last: they seldom change, and a comparison reads a quarter of a plane. */
function loadedFont({ sequencer }: VgaState, planes: Int32Array, height: number): Uint8Array | undefined {
  const [clear, set] = fontAddresses(sequencer);
  const known = Object.hasOwn(fonts, height) ? fonts[height as keyof typeof fonts] : undefined;
  if (clear === set && known && isFont(planes, clear, known, height)) return undefined;
  const maps = clear === set ? [clear] : [clear, set];
  const bytes = new Uint8Array(maps.length * MAP_BYTES);
  maps.forEach((map, n) => {
    for (let i = 0; i < MAP_BYTES; i++) bytes[n * MAP_BYTES + i] = (planes[map + i] >> 16) & 0xff;
  });
  // A guest that never loaded a font means the one that the display is known for.
  return bytes.some((line) => line !== 0) ? bytes : undefined;
}

function isFont(planes: Int32Array, map: number, font: Uint8Array, height: number): boolean {
  for (let code = 0; code < 256; code++) {
    for (let line = 0; line < height; line++) {
      if (((planes[map + code * GLYPH_BYTES + line] >> 16) & 0xff) !== font[code * height + line]) return false;
    }
  }
  return true;
}
