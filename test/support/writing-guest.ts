/** A boot sector that changes the disk that it came from; its source, so that tests inside a browser can assemble it. */

/** Fills sector 9 of its drive with the letter B by INT 13h, writes W (or F when that failed) to the debug port, and does what follows. */
export function writingSource(then = 'cli\n hlt'): string {
  return `bits 16
org 0x7c00
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov sp, 0x7c00
  sti
  mov al, 'A'
  out 0xe9, al
  mov di, 0x1000
  mov al, 'B'
  mov cx, 512
  cld
  rep stosb
  mov ax, 0x0301
  mov bx, 0x1000
  mov cx, 10              ; cylinder 0, sectors count from 1
  mov dh, 0
  int 0x13
  mov al, 'F'
  jc failed
  mov al, 'W'
failed:
  out 0xe9, al
  ${then}
  times 510-($-$$) db 0
  dw 0xaa55\n`;
}
