#include "bus/lease.h"

#include <hiredis/hiredis.h>
#include <stdio.h>

/* What is left of users that nobody counts any more, after crashes, goes after a week. */
#define KEPT_SECONDS "604800"

enum { DIGITS_MAX = 21 };

/* In digits, terminated. */
static struct str digits(uint64_t number, char out[DIGITS_MAX])
{
    int len = snprintf(out, DIGITS_MAX, "%llu", (unsigned long long)number);
    return str_range(out, (size_t)len);
}

struct bus_request *bus_lease_ask(struct bus_store *store, const struct bus_keys *keys,
                                  struct str sub, const struct bus_lease *lease, bus_answer_fn done,
                                  void *context)
{
    struct buf key = {0}, entries = {0};
    struct bus_request *request = NULL;
    char count[DIGITS_MAX], most[DIGITS_MAX], fresh[DIGITS_MAX];
    enum err err = bus_connections_key(keys, sub, &key);
    err = err ? err : bus_gateway_key(keys, STR(""), &entries);
    if (!err) {
        const struct str args[] = {buf_str(&key),
                                   lease->gateway,
                                   digits(lease->count, count),
                                   digits(lease->most, most),
                                   buf_str(&entries),
                                   digits(lease->fresh_ms, fresh),
                                   STR(KEPT_SECONDS)};
        request = bus_store_call(store, &bus_lease_script, 1, args, ARRAY_LEN(args), done, context);
    }
    buf_fini(&key);
    buf_fini(&entries);
    return request;
}

enum bus_leased bus_leased(const struct redisReply *reply)
{
    if (reply->type != REDIS_REPLY_INTEGER) {
        return BUS_LEASE_REFUSED;
    }
    return reply->integer > 0    ? BUS_LEASED
           : reply->integer == 0 ? BUS_LEASE_TOO_MANY
                                 : BUS_LEASE_TOO_MANY_YET;
}
