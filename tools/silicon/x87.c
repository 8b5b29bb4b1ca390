/*
 * Runs x87 instructions on this machine's processor, in 64-bit code or called from there in 32- or 16-bit code. Reads shapes from standard input: code, and for each case an FSAVE image, flags and memory;
 * writes what each case leaves to standard output. All numbers are little-endian; tools/silicon/x87.ts writes the job and knows the layout.
 *
 * The instruction under test finds its memory operand at [rDI]. An unmasked exception shows in the status word that FNSAVE stores; nothing
 * behind the instruction waits for it.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "job.h"

#define MAGIC 0x37385832
enum { IMAGE = 108, MEMORY = 112 };
struct state { uint8_t image[IMAGE]; uint32_t pad; uint64_t flags, ax; uint8_t memory[MEMORY]; };

/*
 * push rbx; push r12; mov rbx, rsi; mov r12, rsp; mov esp, imm32 (patched); frstor [rdi]; mov rax, [rdi+112]; push rax; popfq; mov rax, [rdi+120];
 * lea rdi, [rsi+128]
 */
static const uint8_t before[] = {
  0x53, 0x41, 0x54, 0x48, 0x89, 0xf3, 0x49, 0x89, 0xe4, 0xbc, 0, 0, 0, 0, 0xdd, 0x27, 0x48, 0x8b, 0x47, 0x70, 0x50, 0x9d, 0x48, 0x8b, 0x47, 0x78, 0x48, 0x8d, 0xbe, 0x80, 0, 0, 0,
};
enum { STACK_IN_BEFORE = 10 };
/* pushfq; pop rcx; mov rsp, r12; fnsave [rbx]; mov [rbx+112], rcx; mov [rbx+120], rax; fninit; pop r12; pop rbx; ret */
static const uint8_t behind[] = { 0x9c, 0x59, 0x4c, 0x89, 0xe4, 0xdd, 0x33, 0x48, 0x89, 0x4b, 0x70, 0x48, 0x89, 0x43, 0x78, 0xdb, 0xe3, 0x41, 0x5c, 0x5b, 0xc3 };
/* call far [rip+disp32]; in 32- and 16-bit code: retf with 32-bit operands */
static const uint8_t call[] = { 0xff, 0x1d }, return32[] = { 0xcb }, return16[] = { 0x66, 0xcb };
enum { FLAT_CODE = 0x23, FLAT_DATA = 0x2b, CODE16 = 7, POINTER = 0x800, NARROW = 0x1000, STACK = 0x3000, STATES = 0x3000, BYTES = 0x4000 };

static uint8_t *append(uint8_t *at, const void *bytes, size_t count) {
  memcpy(at, bytes, count);
  return at + count;
}

int main(void) {
  if (sizeof(struct state) != 240 || read_word() != MAGIC) fail("not a job");
  /* Code of 64 bits, code of 32 or 16 bits, stack and states: all below 4 GiB. */
  uint8_t *area = mmap(NULL, BYTES, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  if (area == MAP_FAILED) fail("mmap");
  uint32_t low = (uint32_t)(uintptr_t)area, stack = low + STACK, narrow = low + NARROW;
  struct user_desc code16 = { .base_addr = narrow, .limit = 0xfff, .contents = 2 };
  if (syscall(SYS_modify_ldt, 0x11, &code16, sizeof code16)) fail("modify_ldt");
  __asm__ volatile("mov %0, %%ds\n  mov %0, %%es" : : "r"(FLAT_DATA));
  struct state *in = (struct state *)(area + STATES), *out = in + 1;
  uint32_t shapes = read_word();
  for (uint32_t n = 0; n < shapes; n++) {
    uint32_t length = read_word(), cases = read_word(), size = read_word();
    uint8_t bytes[16];
    if (length > sizeof bytes) fail("shape too long");
    read_exactly(bytes, (length + 3) & ~3u);
    uint8_t *at = append(area, before, sizeof before);
    memcpy(area + STACK_IN_BEFORE, &stack, 4);
    if (size == 64) at = append(at, bytes, length);
    else {
      uint32_t distance = (uint32_t)(area + POINTER - (at + sizeof call + 4)), offset = size == 32 ? narrow : 0;
      uint16_t selector = size == 32 ? FLAT_CODE : CODE16;
      at = append(append(at, call, sizeof call), &distance, 4);
      append(append(area + POINTER, &offset, 4), &selector, 2);
      uint8_t *end = append(area + NARROW, bytes, length);
      if (size == 32) append(end, return32, sizeof return32);
      else append(end, return16, sizeof return16);
    }
    append(at, behind, sizeof behind);
    for (uint32_t k = 0; k < cases; k++) {
      read_exactly(in, sizeof *in);
      *out = *in;
      ((void (*)(struct state *, struct state *))(uintptr_t)area)(in, out);
      fwrite(out, sizeof *out, 1, stdout);
    }
  }
  return fflush(stdout) || ferror(stdout) ? 1 : 0;
}
