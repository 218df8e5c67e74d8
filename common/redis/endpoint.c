#include "redis/endpoint.h"

#include <stdio.h>
#include <string.h>

enum { PORT_MAX = 65535 };

static bool is_host(struct str host)
{
    if (host.len == 0 || host.len > REDIS_HOST_MAX) {
        return false;
    }
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];
        if (c <= ' ' || c > '~' || strchr(",[]", c)) {
            return false;
        }
    }
    return true;
}

enum err redis_endpoint_set(struct redis_endpoint *endpoint, struct str host, uint64_t port)
{
    if (!is_host(host) || port == 0 || port > PORT_MAX) {
        return ERR_INVALID;
    }
    memcpy(endpoint->host, host.ptr, host.len);
    endpoint->host[host.len] = '\0';
    endpoint->port = port;
    return OK;
}

bool redis_endpoint_eq(const struct redis_endpoint *a, const struct redis_endpoint *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

void redis_endpoint_print(const struct redis_endpoint *endpoint,
                          char ret_text[REDIS_ENDPOINT_TEXT_MAX])
{
    const char *form = strchr(endpoint->host, ':') ? "[%s]:%u" : "%s:%u";
    snprintf(ret_text, REDIS_ENDPOINT_TEXT_MAX, form, endpoint->host,
             (unsigned)(uint16_t)endpoint->port);
}

/* --- Lists --- */

/* Splits "[host]rest"; false without the closing bracket. */
static bool take_brackets(struct str *rest, struct str *ret_host)
{
    size_t end = str_find(*rest, ']');
    if (end == rest->len) {
        return false;
    }
    *ret_host = (struct str){rest->ptr + 1, end - 1};
    *rest = str_skip(*rest, end + 1);
    return true;
}

/* A colon in a bare host would leave open where the port begins: that is what brackets are for. */
static enum err parse_one(struct str item, uint64_t default_port, struct redis_endpoint *endpoint)
{
    struct str host, rest = str_trim(item);
    if (str_starts(rest, STR("["))) {
        if (!take_brackets(&rest, &host)) {
            return ERR_INVALID;
        }
    } else {
        host = (struct str){rest.ptr, str_find(rest, ':')};
        rest = str_skip(rest, host.len);
    }
    uint64_t port = default_port;
    if (rest.len > 0 && (rest.ptr[0] != ':' || str_to_u64(str_skip(rest, 1), &port))) {
        return ERR_INVALID;
    }
    return redis_endpoint_set(endpoint, host, port);
}

enum err redis_endpoints_parse(struct str list, uint64_t default_port,
                               struct redis_endpoint *endpoints, size_t cap, size_t *ret_count)
{
    size_t count = 0;
    for (struct str item; str_split(&list, ',', &item); count++) {
        if (count == cap) {
            return ERR_LIMIT;
        }
        enum err err = parse_one(item, default_port, &endpoints[count]);
        if (err) {
            return err;
        }
    }
    *ret_count = count;
    return count > 0 ? OK : ERR_INVALID;
}
