#include "util/bucket.h"

enum { TOKEN = 1000 }; /* a rate of one a second is one thousandth a millisecond */

static void grow(struct bucket *bucket, uint64_t rate, uint64_t now_ms)
{
    uint64_t elapsed_ms = now_ms - bucket->at_ms;
    bool all = elapsed_ms > bucket->missing / rate;
    bucket->missing = all ? 0 : bucket->missing - elapsed_ms * rate;
    bucket->at_ms = now_ms;
}

bool bucket_take(struct bucket *bucket, uint64_t rate, uint64_t burst, uint64_t now_ms)
{
    if (rate == 0) {
        return true;
    }
    grow(bucket, rate, now_ms);
    if (bucket->missing + TOKEN > (burst > 0 ? burst : rate) * TOKEN) {
        return false;
    }
    bucket->missing += TOKEN;
    return true;
}
