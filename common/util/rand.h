/* Random bytes from the kernel, and ids made of them. */
#ifndef UTIL_RAND_H
#define UTIL_RAND_H

#include <stddef.h>
#include <stdint.h>

/* Cryptographically strong. A kernel that has none ends the process: no id may be guessable. */
void rand_bytes(void *bytes, size_t len);
/* Uniform enough for jitter: 0 … bound-1; 0 where bound is 0. */
uint64_t rand_below(uint64_t bound);

/*
 * Fills `id` with `len` characters of the URL-safe base64 alphabet (6 random bits each); no
 * terminator. 20 characters are 120 bits.
 */
void rand_id(char *id, size_t len);

#endif
