/*
 * Runs shapes of 64-bit code on this machine's processor and records what they do to general, vector and x87 registers, flags and memory. Reads
 * a job from standard input, writes outcomes to standard output; all numbers are little-endian. tools/silicon/long.ts writes the job.
 *
 * As in harness.c every case begins with a return from a signal handler, which loads all registers, and ends with the next signal.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include "job.h"

#define MAGIC 0x474e4f4c
#define CODE ((uint8_t *)0x440000)
#define DATA ((uint8_t *)0x410000)
enum { CODE_BYTES = 0x1000, DATA_BYTES = 0x2000, MEMORY = 128, FILLER = 0xcc };

struct state {
  uint64_t general[16];
  uint32_t flags, mxcsr;
  uint16_t status; uint8_t valid, unused[5];
  uint8_t xmm[16][16], st[8][16], memory[MEMORY];
};
struct output { struct state state; uint64_t rip, vector, error, cr2; };

static const int order[16] = {
  REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI, REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};
static uint32_t shape_number, case_count, case_next;
static const struct state *inputs;
static struct output *outputs;
static uint64_t start;
static uint8_t *window;
static greg_t home[NGREG];
static volatile int running;

static void on_signal(int number, siginfo_t *info, void *argument) {
  ucontext_t *context = argument;
  greg_t *registers = context->uc_mcontext.gregs;
  fpregset_t units = context->uc_mcontext.fpregs;
  (void)number;
  (void)info;
  if (!running) {
    memcpy(home, registers, sizeof home);
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
    out->rip = registers[REG_RIP];
    out->vector = registers[REG_TRAPNO];
    out->error = registers[REG_ERR];
    out->cr2 = registers[REG_CR2];
  }
  if (case_next == case_count) {
    memcpy(registers, home, sizeof home);
    units->mxcsr = 0x1f80;
    units->swd = 0;
    units->ftw = 0;
    running = 0;
    return;
  }
  const struct state *in = &inputs[case_next];
  for (int n = 0; n < 16; n++) registers[order[n]] = in->general[n];
  registers[REG_RIP] = start;
  registers[REG_EFL] = in->flags;
  units->cwd = 0x37f;
  units->mxcsr = in->mxcsr;
  units->swd = in->status;
  units->ftw = in->valid;
  memcpy(units->_xmm, in->xmm, sizeof in->xmm);
  memcpy(units->_st, in->st, sizeof in->st);
  memcpy(window, in->memory, MEMORY);
}

static void on_alarm(int number) {
  (void)number;
  fprintf(stderr, "shape %u case %u does not end\n", shape_number, case_next);
  _exit(3);
}

int main(void) {
  static const int numbers[] = { SIGTRAP, SIGSEGV, SIGFPE, SIGILL, SIGBUS };
  if (sizeof(struct state) != 656 || read_word() != MAGIC) fail("not a job");
  uint8_t *code = mmap(CODE, CODE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  uint8_t *data = mmap(DATA, DATA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (code != CODE || data != DATA) fail("mmap");
  stack_t stack = { .ss_sp = malloc(1 << 17), .ss_size = 1 << 17 };
  struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
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
    if (length > sizeof bytes || at + length > CODE_BYTES) fail("shape too long");
    read_exactly(bytes, (length + 3) & ~3u);
    struct state *in = malloc(case_count * sizeof *in);
    outputs = calloc(case_count, sizeof *outputs);
    if (!in || !outputs) fail("malloc");
    read_exactly(in, case_count * sizeof *in);
    inputs = in;
    case_next = 0;
    start = (uint64_t)(uintptr_t)(CODE + at);
    memset(CODE, FILLER, CODE_BYTES);
    memcpy(CODE + at, bytes, length);
    memset(DATA, 0, DATA_BYTES);
    alarm(5);
    __asm__ volatile("int3" : : : "memory");
    fwrite(outputs, sizeof *outputs, case_count, stdout);
    free(in);
    free(outputs);
    memset(window, 0, MEMORY);
    for (uint32_t n = 0; n < DATA_BYTES; n++) {
      if (DATA[n]) {
        fprintf(stderr, "shape %u wrote outside the window, at %#x\n", shape_number, n);
        return 1;
      }
    }
  }
  return fflush(stdout) || ferror(stdout) ? 1 : 0;
}
