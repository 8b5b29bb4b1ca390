/*
 * Runs shapes of code on this machine's processor and records what they do. Reads a job from standard input, writes outcomes to standard
 * output; all numbers are 32-bit little-endian. tools/silicon/native.ts writes the job and knows the layout.
 *
 * Every case begins with a return from a signal handler, which loads all registers, and ends with the next signal, which saves them: the
 * code under test is surrounded by INT3. A 32-bit process, so that 16-bit segments of the local descriptor table can be used too.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include "job.h"

#define MAGIC 0x314c4953
#define FILLER 0xcc
#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

enum { WINDOWS_MAX = 16, PAGES_MAX = 16 };
struct area { uint32_t linear, bytes, access; };
struct input { uint32_t general[8], eip, eflags; uint8_t image[]; };
struct output { uint32_t general[8], eip, eflags, selectors[6], vector, error, cr2; uint8_t image[]; };

static uint32_t window_count, page_count, image_bytes;
static struct area windows[WINDOWS_MAX], pages[PAGES_MAX];
static uint8_t *code_alias;
static uint32_t code_linear, code_bytes;

/* The shape at work. */
static uint32_t shape_number, selectors[6], case_count, case_next;
static const uint8_t *inputs;
static uint8_t *outputs;
static uint32_t input_size, output_size;
static ucontext_t home;
static volatile int running;

/* The handler must not call the C library: FS and GS belong to the code under test while it runs. */
static void copy(uint8_t *to, const uint8_t *from, uint32_t bytes) {
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

static void copy_windows(uint8_t *image, int save) {
  for (uint32_t n = 0; n < window_count; n++) {
    uint8_t *window = (uint8_t *)(uintptr_t)windows[n].linear;
    if (save) copy(image, window, windows[n].bytes);
    else copy(window, image, windows[n].bytes);
    image += windows[n].bytes;
  }
}

static const int general_order[8] = { REG_EAX, REG_ECX, REG_EDX, REG_EBX, REG_ESP, REG_EBP, REG_ESI, REG_EDI };
static const int segment_order[6] = { REG_ES, REG_CS, REG_SS, REG_DS, REG_FS, REG_GS };

__attribute__((used)) void on_signal(int number, siginfo_t *info, ucontext_t *context) {
  greg_t *registers = context->uc_mcontext.gregs;
  (void)number;
  (void)info;
  if (!running) {
    copy((uint8_t *)&home.uc_mcontext.gregs, (uint8_t *)registers, sizeof home.uc_mcontext.gregs);
    running = 1;
  } else {
    struct output *out = (struct output *)(outputs + (size_t)case_next++ * output_size);
    for (int n = 0; n < 8; n++) out->general[n] = registers[general_order[n]];
    for (int n = 0; n < 6; n++) out->selectors[n] = registers[segment_order[n]] & 0xffff;
    out->eip = registers[REG_EIP];
    out->eflags = registers[REG_EFL];
    out->vector = registers[REG_TRAPNO];
    out->error = registers[REG_ERR];
    out->cr2 = context->uc_mcontext.cr2;
    copy_windows(out->image, 1);
  }
  if (case_next == case_count) {
    copy((uint8_t *)registers, (uint8_t *)&home.uc_mcontext.gregs, sizeof home.uc_mcontext.gregs);
    running = 0;
    return;
  }
  const struct input *in = (const struct input *)(inputs + (size_t)case_next * input_size);
  for (int n = 0; n < 8; n++) registers[general_order[n]] = in->general[n];
  for (int n = 0; n < 6; n++) registers[segment_order[n]] = selectors[n];
  registers[REG_EIP] = in->eip;
  registers[REG_EFL] = in->eflags;
  copy_windows((uint8_t *)in->image, 0);
}

/* Flags as the code under test left them (AC, NT, ID) must not disturb the handler. */
void signal_entry(int, siginfo_t *, void *);
__asm__(".globl signal_entry\nsignal_entry:\n  pushl $2\n  popfl\n  jmp on_signal\n");

/* A shape that does not end is a mistake of the generator: the status tells, and the last three words of the output say which case. */
static void on_alarm(int number) {
  uint32_t where[3] = { MAGIC, shape_number, case_next };
  (void)number;
  __asm__ volatile("int $0x80" : : "a"(SYS_write), "b"(STDOUT_FILENO), "c"(where), "d"(sizeof where) : "memory");
  __asm__ volatile("int $0x80" : : "a"(SYS_exit), "b"(3));
}

static void install_handlers(void) {
  static const int numbers[] = { SIGTRAP, SIGSEGV, SIGFPE, SIGILL, SIGBUS };
  stack_t stack = { .ss_sp = malloc(1 << 16), .ss_size = 1 << 16, .ss_flags = (int)SS_AUTODISARM };
  if (sigaltstack(&stack, NULL)) fail("sigaltstack");
  struct sigaction action = { .sa_sigaction = signal_entry, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
  struct sigaction alarmed = { .sa_handler = on_alarm, .sa_flags = SA_ONSTACK };
  if (sigaction(SIGALRM, &alarmed, NULL)) fail("sigaction");
  for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++) {
    if (sigaction(numbers[n], &action, NULL)) fail("sigaction");
  }
}

static void install_descriptors(void) {
  uint32_t count = read_word();
  for (uint32_t n = 0; n < count; n++) {
    struct user_desc entry = { .entry_number = n };
    entry.base_addr = read_word();
    uint32_t limit = read_word();
    uint32_t kind = read_word(); /* 0 code, 1 data, 2 read-only data, 3 expand-down data */
    entry.limit = limit;
    entry.seg_32bit = read_word();
    entry.contents = kind == 0 ? 2 : kind == 3 ? 1 : 0;
    entry.read_exec_only = kind == 2;
    if (syscall(SYS_modify_ldt, 0x11, &entry, sizeof entry)) fail("modify_ldt");
  }
}

static void map_pages(void) {
  page_count = read_word();
  if (page_count > PAGES_MAX) fail("too many pages");
  for (uint32_t n = 0; n < page_count; n++) {
    struct area *area = &pages[n];
    area->linear = read_word();
    area->bytes = read_word();
    area->access = read_word(); /* 0 read-only, 1 read-write, 2 code */
    void *at = (void *)(uintptr_t)area->linear;
    if (area->access == 2) {
      /* Written through another mapping only, so that the code under test cannot change its surroundings. */
      int file = memfd_create("code", 0);
      if (file < 0 || ftruncate(file, area->bytes)) fail("memfd_create");
      code_linear = area->linear;
      code_bytes = area->bytes;
      code_alias = mmap(NULL, area->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
      if (code_alias == MAP_FAILED) fail("mmap");
      memset(code_alias, FILLER, area->bytes);
      /* Not to be read, so that the kernel cannot read and emulate what CR4.UMIP refuses: its #GP comes here. */
      if (mmap(at, area->bytes, PROT_EXEC, MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_POPULATE, file, 0) != at) fail("mmap");
      continue;
    }
    if (mmap(at, area->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_POPULATE, -1, 0) != at) fail("mmap");
    if (area->access == 0 && mprotect(at, area->bytes, PROT_READ)) fail("mprotect");
  }
  window_count = read_word();
  if (window_count > WINDOWS_MAX) fail("too many windows");
  for (uint32_t n = 0; n < window_count; n++) {
    windows[n].linear = read_word();
    windows[n].bytes = read_word();
    image_bytes += windows[n].bytes;
  }
}

/* Outside its windows memory is zero: a shape that writes there is a mistake of the generator. Returns the address, or 0. */
static uint32_t stray_write(void) {
  for (uint32_t n = 0; n < window_count; n++) memset((void *)(uintptr_t)windows[n].linear, 0, windows[n].bytes);
  for (uint32_t n = 0; n < page_count; n++) {
    if (pages[n].access != 1) continue;
    const uint32_t *word = (const uint32_t *)(uintptr_t)pages[n].linear;
    for (uint32_t k = 0; k < pages[n].bytes / 4; k++) {
      if (word[k]) return (uint32_t)(uintptr_t)&word[k];
    }
  }
  return 0;
}

int main(void) {
  if (read_word() != MAGIC) fail("not a job");
  install_descriptors();
  map_pages();
  input_size = sizeof(struct input) + image_bytes;
  output_size = sizeof(struct output) + image_bytes;
  install_handlers();
  uint32_t shapes = read_word();
  for (uint32_t n = 0; n < shapes; n++) {
    uint32_t at = read_word(), length = read_word();
    uint8_t bytes[256];
    case_count = read_word();
    read_exactly(selectors, sizeof selectors);
    if (length > sizeof bytes || at + length > code_bytes) fail("shape too long");
    read_exactly(bytes, (length + 3) & ~3u);
    uint8_t *in = malloc((size_t)case_count * input_size);
    outputs = malloc((size_t)case_count * output_size);
    if (!in || !outputs) fail("malloc");
    read_exactly(in, (size_t)case_count * input_size);
    inputs = in;
    case_next = 0;
    shape_number = n;
    alarm(5);
    memcpy(code_alias + at, bytes, length);
    __asm__ volatile("int3" : : : "memory");
    memset(code_alias + at, FILLER, length);
    fwrite(outputs, output_size, case_count, stdout);
    free(in);
    free(outputs);
    uint32_t stray = stray_write();
    if (stray) {
      fprintf(stderr, "shape %u wrote outside the windows, at %#x\n", n, stray);
      return 1;
    }
  }
  return fflush(stdout) || ferror(stdout) ? 1 : 0;
}
