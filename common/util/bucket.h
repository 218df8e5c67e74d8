/*
 * A token bucket: so many a second, and after a rest so many at once.
 */
#ifndef UTIL_BUCKET_H
#define UTIL_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

/* All zero is a full one. */
struct bucket {
    uint64_t missing; /* private: thousandths of tokens that were taken and have not grown again */
    uint64_t at_ms;   /* private: when that was */
};

/*
 * Takes a token; false where there is none. `rate` tokens grow in a second (0: without limit) until
 * there are `burst` (0: as many as grow in a second); both may be others than before. `now_ms`
 * never runs backwards.
 */
bool bucket_take(struct bucket *bucket, uint64_t rate, uint64_t burst, uint64_t now_ms);

#endif
