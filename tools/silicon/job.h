/* How a harness reads its job from standard input; what is missing ends it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void read_exactly(void *to, size_t bytes) {
  if (bytes && fread(to, 1, bytes, stdin) != bytes) fail("job ends early");
}

static uint32_t read_word(void) {
  uint32_t word;
  read_exactly(&word, 4);
  return word;
}
