/*
 * Runs x87 instructions on this machine's processor. Reads shapes from standard input: code, and for each case an FSAVE image, flags and memory;
 * writes what each case leaves to standard output. All numbers are little-endian; tools/silicon/x87.ts writes the job and knows the layout.
 *
 * The instruction under test finds its memory operand at [rDI]. An unmasked exception shows in the status word that FNSAVE stores; nothing
 * behind the instruction waits for it.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "job.h"

#define MAGIC 0x37385832
enum { IMAGE = 108, MEMORY = 112 };
struct state { uint8_t image[IMAGE]; uint32_t pad; uint64_t flags, ax; uint8_t memory[MEMORY]; };

/* before: push rbx; mov rbx, rsi; frstor [rdi]; mov rax, [rdi+112]; push rax; popfq; mov rax, [rdi+120]; lea rdi, [rsi+128] */
static const uint8_t before[] = {
  0x53, 0x48, 0x89, 0xf3, 0xdd, 0x27, 0x48, 0x8b, 0x47, 0x70, 0x50, 0x9d, 0x48, 0x8b, 0x47, 0x78, 0x48, 0x8d, 0xbe, 0x80, 0, 0, 0,
};
/* behind: pushfq; pop rcx; fnsave [rbx]; mov [rbx+112], rcx; mov [rbx+120], rax; fninit; pop rbx; ret */
static const uint8_t behind[] = { 0x9c, 0x59, 0xdd, 0x33, 0x48, 0x89, 0x4b, 0x70, 0x48, 0x89, 0x43, 0x78, 0xdb, 0xe3, 0x5b, 0xc3 };

int main(void) {
  if (sizeof(struct state) != 240 || read_word() != MAGIC) fail("not a job");
  uint8_t *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (code == MAP_FAILED) fail("mmap");
  uint32_t shapes = read_word();
  for (uint32_t n = 0; n < shapes; n++) {
    uint32_t length = read_word(), cases = read_word();
    uint8_t bytes[16];
    if (length > sizeof bytes) fail("shape too long");
    read_exactly(bytes, (length + 3) & ~3u);
    memcpy(code, before, sizeof before);
    memcpy(code + sizeof before, bytes, length);
    memcpy(code + sizeof before + length, behind, sizeof behind);
    for (uint32_t k = 0; k < cases; k++) {
      struct state in, out;
      read_exactly(&in, sizeof in);
      out = in;
      ((void (*)(struct state *, struct state *))(uintptr_t)code)(&in, &out);
      fwrite(&out, sizeof out, 1, stdout);
    }
  }
  return fflush(stdout) || ferror(stdout) ? 1 : 0;
}
