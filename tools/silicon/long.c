/*
 * Runs shapes of code on this machine's processor and records what they do to general, segment, vector and x87 registers, flags and memory. Reads
 * a job from standard input, writes outcomes to standard output; all numbers are little-endian. tools/silicon/long.ts writes the job.
 *
 * As in harness.c every case begins with a return from a signal handler, which loads all registers, and ends with the next signal. A 64-bit
 * process: 16- and 32-bit code runs in compatibility mode. Needs FSGSBASE, which shows what instructions do to the bases of FS and GS.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include "job.h"

#define MAGIC 0x474e4f4c
#define CODE ((uint8_t *)0x440000)
#define DATA ((uint8_t *)0x410000)
#define STACK ((uint8_t *)0x420000)
enum { CODE_BYTES = 0x1000, DATA_BYTES = 0x2000, MEMORY = 128, FRAME = 512, FILLER = 0xcc, HWCAP2_FSGSBASE = 2 };
enum { ES, CS, SS, DS, FS, GS };

struct state {
  uint64_t general[16];
  uint32_t flags, mxcsr;
  uint16_t status; uint8_t valid, unused[5];
  uint8_t xmm[16][16], st[8][16], memory[MEMORY];
  uint64_t fs_base, gs_base;
  uint16_t selectors[6], control, unused2;
  uint64_t rip;
  uint8_t frame[FRAME];
};
struct output { struct state state; uint64_t vector, error, cr2; };
struct bases { uint64_t fs, gs; uint16_t selectors[6]; };

static const int order[16] = {
  REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI, REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};
static uint32_t shape_number, case_count, case_next;
static const struct state *inputs;
static struct output *outputs;
static uint8_t *window, *frame;
static greg_t home[NGREG];
static struct bases home_bases;
static volatile int running;

static void get_bases(struct bases *bases) {
  __asm__ volatile("rdfsbase %0" : "=r"(bases->fs));
  __asm__ volatile("rdgsbase %0" : "=r"(bases->gs));
  __asm__ volatile("mov %%es, %0" : "=m"(bases->selectors[ES]));
  __asm__ volatile("mov %%ds, %0" : "=m"(bases->selectors[DS]));
  __asm__ volatile("mov %%fs, %0" : "=m"(bases->selectors[FS]));
  __asm__ volatile("mov %%gs, %0" : "=m"(bases->selectors[GS]));
}

static void set_bases(const struct bases *bases) {
  __asm__ volatile("mov %0, %%es" : : "m"(bases->selectors[ES]));
  __asm__ volatile("mov %0, %%ds" : : "m"(bases->selectors[DS]));
  __asm__ volatile("mov %0, %%fs" : : "m"(bases->selectors[FS]));
  __asm__ volatile("mov %0, %%gs" : : "m"(bases->selectors[GS]));
  __asm__ volatile("wrfsbase %0" : : "r"(bases->fs));
  __asm__ volatile("wrgsbase %0" : : "r"(bases->gs));
}

__attribute__((used)) void on_signal(int number, siginfo_t *info, void *argument) {
  ucontext_t *context = argument;
  greg_t *registers = context->uc_mcontext.gregs;
  fpregset_t units = context->uc_mcontext.fpregs;
  struct bases bases;
  (void)number;
  (void)info;
  get_bases(&bases);
  if (!running) {
    memcpy(home, registers, sizeof home);
    home_bases = bases;
    running = 1;
  } else {
    struct output *out = &outputs[case_next++];
    for (int n = 0; n < 16; n++) out->state.general[n] = registers[order[n]];
    out->state.flags = registers[REG_EFL];
    out->state.mxcsr = units->mxcsr;
    out->state.status = units->swd;
    out->state.valid = units->ftw;
    memcpy(out->state.xmm, units->_xmm, sizeof out->state.xmm);
    memcpy(out->state.st, units->_st, sizeof out->state.st);
    memcpy(out->state.memory, window, MEMORY);
    out->state.fs_base = bases.fs;
    out->state.gs_base = bases.gs;
    memcpy(out->state.selectors, bases.selectors, sizeof bases.selectors);
    out->state.selectors[CS] = registers[REG_CSGSFS] & 0xffff;
    out->state.selectors[SS] = (uint64_t)registers[REG_CSGSFS] >> 48;
    out->state.control = units->cwd;
    out->state.rip = registers[REG_RIP];
    memcpy(out->state.frame, frame, FRAME);
    out->vector = registers[REG_TRAPNO];
    out->error = registers[REG_ERR];
    out->cr2 = registers[REG_CR2];
  }
  if (case_next == case_count) {
    memcpy(registers, home, sizeof home);
    units->mxcsr = 0x1f80;
    units->swd = 0;
    units->ftw = 0;
    units->cwd = 0x37f;
    set_bases(&home_bases);
    running = 0;
    return;
  }
  const struct state *in = &inputs[case_next];
  for (int n = 0; n < 16; n++) registers[order[n]] = in->general[n];
  registers[REG_RIP] = in->rip;
  registers[REG_EFL] = in->flags;
  registers[REG_CSGSFS] = (greg_t)(in->selectors[CS] | (uint64_t)in->selectors[SS] << 48);
  units->cwd = in->control;
  units->mxcsr = in->mxcsr;
  units->swd = in->status;
  units->ftw = in->valid;
  memcpy(units->_xmm, in->xmm, sizeof in->xmm);
  memcpy(units->_st, in->st, sizeof in->st);
  memcpy(window, in->memory, MEMORY);
  memcpy(frame, in->frame, FRAME);
  bases.fs = in->fs_base;
  bases.gs = in->gs_base;
  memcpy(bases.selectors, in->selectors, sizeof bases.selectors);
  set_bases(&bases);
}

/* Flags as the code under test left them (AC, NT) must not disturb the handler. */
void signal_entry(int, siginfo_t *, void *);
__asm__(".globl signal_entry\nsignal_entry:\n  pushq $2\n  popfq\n  jmp on_signal\n");

static void on_alarm(int number) {
  (void)number;
  set_bases(&home_bases);
  fprintf(stderr, "shape %u case %u does not end\n", shape_number, case_next);
  _exit(3);
}

/* Zero outside the windows, or the shape is a mistake of the generator. */
static void check_unchanged(const uint8_t *from, uint32_t bytes) {
  for (uint32_t n = 0; n < bytes; n++) {
    if (!from[n]) continue;
    fprintf(stderr, "shape %u wrote outside the windows, at %p\n", shape_number, (const void *)(from + n));
    exit(1);
  }
}

static void *map_at(uint8_t *at, size_t bytes, int protection, int file) {
  void *made = mmap(at, bytes, protection, file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE : MAP_SHARED | MAP_FIXED_NOREPLACE, file, 0);
  if (made != at) fail("mmap");
  return made;
}

static void install_descriptors(void) {
  uint32_t count = read_word();
  for (uint32_t n = 0; n < count; n++) {
    struct user_desc entry = { .entry_number = n };
    entry.base_addr = read_word();
    entry.limit = read_word();
    uint32_t kind = read_word(); /* 0 code, 1 data, 2 read-only data */
    entry.seg_32bit = read_word();
    entry.contents = kind == 0 ? 2 : 0;
    entry.read_exec_only = kind == 2;
    if (syscall(SYS_modify_ldt, 0x11, &entry, sizeof entry)) fail("modify_ldt");
  }
}

int main(void) {
  static const int numbers[] = { SIGTRAP, SIGSEGV, SIGFPE, SIGILL, SIGBUS };
  if (sizeof(struct state) != 1208 || read_word() != MAGIC) fail("not a job");
  if (!(getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE)) fail("FSGSBASE is not there");
  install_descriptors();
  /* The code is written through another mapping: its own is not to be read, so that the kernel cannot emulate what CR4.UMIP refuses. */
  int file = memfd_create("code", 0);
  if (file < 0 || ftruncate(file, CODE_BYTES)) fail("memfd_create");
  uint8_t *code = mmap(NULL, CODE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
  if (code == MAP_FAILED) fail("mmap");
  map_at(CODE, CODE_BYTES, PROT_EXEC, file);
  map_at(DATA, DATA_BYTES, PROT_READ | PROT_WRITE, -1);
  map_at(STACK, DATA_BYTES, PROT_READ | PROT_WRITE, -1);
  stack_t stack = { .ss_sp = malloc(1 << 17), .ss_size = 1 << 17 };
  struct sigaction action = { .sa_sigaction = signal_entry, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
  struct sigaction alarmed = { .sa_handler = on_alarm, .sa_flags = SA_ONSTACK };
  if (sigaltstack(&stack, NULL) || sigaction(SIGALRM, &alarmed, NULL)) fail("sigaltstack");
  for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++) {
    if (sigaction(numbers[n], &action, NULL)) fail("sigaction");
  }
  uint32_t shapes = read_word();
  for (shape_number = 0; shape_number < shapes; shape_number++) {
    uint32_t length = read_word(), at = read_word();
    uint8_t bytes[256];
    case_count = read_word();
    window = DATA + read_word();
    frame = STACK + read_word();
    if (length > sizeof bytes || at + length > CODE_BYTES) fail("shape too long");
    read_exactly(bytes, (length + 3) & ~3u);
    struct state *in = malloc(case_count * sizeof *in);
    outputs = calloc(case_count, sizeof *outputs);
    if (!in || !outputs) fail("malloc");
    read_exactly(in, case_count * sizeof *in);
    inputs = in;
    case_next = 0;
    memset(code, FILLER, CODE_BYTES);
    memcpy(code + at, bytes, length);
    memset(DATA, 0, DATA_BYTES);
    memset(STACK, 0, DATA_BYTES);
    alarm(5);
    __asm__ volatile("int3" : : : "memory");
    fwrite(outputs, sizeof *outputs, case_count, stdout);
    free(in);
    free(outputs);
    memset(window, 0, MEMORY);
    memset(frame, 0, FRAME);
    check_unchanged(DATA, DATA_BYTES);
    check_unchanged(STACK, DATA_BYTES);
  }
  return fflush(stdout) || ferror(stdout) ? 1 : 0;
}
