/* Messages that wait for older ones, to be taken in the order of their ids. */
#ifndef PUBLISHER_CLI_BACKLOG_H
#define PUBLISHER_CLI_BACKLOG_H

#include <stddef.h>
#include <stdint.h>

#include "util/attr.h"
#include "util/err.h"
#include "util/str.h"

enum { BACKLOG_BYTES_MAX = 256 * 1024 * 1024 };

struct backlog_item {
    uint64_t id;
    size_t number; /* in the order of coming: what has no id stays where it came */
    struct str room;
    struct str text;
};

struct backlog {
    struct backlog_item *items;
    size_t count, cap, bytes;
    uint64_t last; /* id of the newest: the place of one without id */
};

/* Copies both texts. LIMIT: too many bytes. NOMEM. */
MUST_CHECK enum err backlog_add(struct backlog *backlog, uint64_t id, struct str room,
                                struct str text);
void backlog_sort(struct backlog *backlog);
/* Forgets all; it may be used again. */
void backlog_clear(struct backlog *backlog);

#endif
