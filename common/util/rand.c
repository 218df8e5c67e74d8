#include "util/rand.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* One system call refills enough for some dozen ids. A pool is never shared: not by threads, and
 * not with a forked child, which starts with an empty one. */
static _Thread_local struct {
    unsigned char bytes[1024];
    size_t left;
} pool;

static void empty_pool(void)
{
    pool.left = 0;
}

static void watch_forks(void)
{
    if (pthread_atfork(NULL, NULL, empty_pool) != 0) {
        abort();
    }
}

static void from_kernel(unsigned char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = getrandom(bytes, len, 0);
        if (n < 0 && errno != EINTR) {
            abort();
        }
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
    }
}

void rand_bytes(void *bytes, size_t len)
{
    if (len > sizeof pool.bytes) {
        from_kernel(bytes, len);
        return;
    }
    if (pool.left < len) {
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        pthread_once(&once, watch_forks);
        from_kernel(pool.bytes, sizeof pool.bytes);
        pool.left = sizeof pool.bytes;
    }
    pool.left -= len;
    memcpy(bytes, pool.bytes + pool.left, len);
    /* What was handed out must not be found here later. */
    explicit_bzero(pool.bytes + pool.left, len);
}

uint64_t rand_below(uint64_t bound)
{
    uint64_t value;
    rand_bytes(&value, sizeof value);
    return bound ? value % bound : 0;
}

void rand_id(char *id, size_t len)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    rand_bytes(id, len);
    for (size_t i = 0; i < len; i++) {
        id[i] = alphabet[(unsigned char)id[i] & 63];
    }
}
