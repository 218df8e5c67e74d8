#include "redis/options.h"

#include "redis/sentinel.h"

static enum err refuse(struct buf *complaint, struct str sentence)
{
    enum err err = buf_append(complaint, sentence);
    return err ? err : ERR_INVALID;
}

static enum err check_sentinel_list(const char *list, struct buf *complaint)
{
    struct redis_endpoint sentinels[REDIS_SENTINELS_MAX];
    size_t count = 0;
    if (redis_sentinels_parse(list, sentinels, &count) == OK) {
        return OK;
    }
    enum err err = buf_printf(complaint,
                              "REDIS_SENTINELS is \"%s\"; expected host:port, separated by commas, "
                              "IPv6 addresses in brackets, no more than %d",
                              list, REDIS_SENTINELS_MAX);
    return err ? err : ERR_INVALID;
}

static enum err check_sentinels(const struct redis_link_options *options, struct buf *complaint)
{
    if (options->sentinels && !options->sentinel_master) {
        return refuse(complaint, STR("REDIS_SENTINELS is set without REDIS_SENTINEL_MASTER; "
                                     "expected the name of the primary, too"));
    }
    if (!options->sentinels && options->sentinel_master) {
        return refuse(complaint, STR("REDIS_SENTINEL_MASTER is set without REDIS_SENTINELS; "
                                     "expected the sentinels to ask, too"));
    }
    if (!options->sentinels && (options->sentinel_user || options->sentinel_password)) {
        return refuse(complaint, STR("REDIS_SENTINEL_USER or REDIS_SENTINEL_PASSWORD is set "
                                     "without REDIS_SENTINELS; expected the sentinels, too"));
    }
    return options->sentinels ? check_sentinel_list(options->sentinels, complaint) : OK;
}

enum err redis_options_check(const struct redis_link_options *options, struct buf *complaint)
{
    if (options->backoff_min_ms > options->backoff_max_ms) {
        return refuse(
            complaint,
            STR("REDIS_BACKOFF_MIN is larger than REDIS_BACKOFF_MAX; expected the reverse"));
    }
    if (options->tls_key && !options->tls_cert) {
        return refuse(complaint, STR("REDIS_TLS_KEY is set without REDIS_TLS_CERT; expected both"));
    }
    return check_sentinels(options, complaint);
}
