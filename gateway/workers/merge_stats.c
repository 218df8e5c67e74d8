#include <stdlib.h>

#include "ops/stats.h"
#include "util/clock.h"
#include "util/jtext.h"
#include "util/map.h"
#include "workers/merge.h"

enum { DEPTH_MAX = 4 };

struct room {
    struct map_node node;
    struct str name; /* between its quotes, in a worker's text */
};

struct sum {
    uint64_t clients;
    uint64_t unnamed; /* rooms that a worker has counted and not listed */
    size_t listed;    /* names of all workers, those of several among them */
    struct room *rooms;
    size_t used;
    struct map names;
};

static struct str key_of(const struct map_node *node)
{
    return container_of(node, const struct room, node)->name;
}

static uint64_t number_of(struct str object, struct str key)
{
    uint64_t number = 0;
    return str_to_u64(jtext_member(object, key), &number) ? 0 : number;
}

static size_t length_of(struct str array)
{
    struct jtext_walk walk;
    struct str value;
    size_t length = 0;
    jtext_walk(&walk, array);
    while (jtext_next(&walk, NULL, &value)) {
        length++;
    }
    return length;
}

static struct str rooms_of(const struct merge_part *part)
{
    return jtext_member(part->body, STR("activeRooms"));
}

static bool is_there(const struct merge_part *part)
{
    return !part->why_not && !jtext_check(part->body, DEPTH_MAX) &&
           jtext_kind(rooms_of(part)) == JTEXT_ARRAY;
}

static void add_numbers(struct sum *sum, const struct merge_part *part)
{
    size_t listed = length_of(rooms_of(part));
    uint64_t rooms = number_of(part->body, STR("roomCount"));
    sum->clients += number_of(part->body, STR("connectedClients"));
    sum->unnamed += rooms > listed ? rooms - listed : 0;
    sum->listed += listed;
}

/* All names are in valid JSON and written by the same function, so equal rooms have equal texts. */
static enum err add_rooms(struct sum *sum, const struct merge_part *part)
{
    struct jtext_walk walk;
    struct str value;
    jtext_walk(&walk, rooms_of(part));
    while (jtext_next(&walk, NULL, &value)) {
        if (map_find(&sum->names, value)) {
            continue;
        }
        struct room *room = &sum->rooms[sum->used++];
        room->name = value;
        enum err err = map_insert(&sum->names, &room->node);
        if (err) {
            return err;
        }
    }
    return OK;
}

static enum err add_up(struct sum *sum, const struct merge_part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_there(&parts[i])) {
            add_numbers(sum, &parts[i]);
        }
    }
    sum->rooms = calloc(sum->listed + 1, sizeof *sum->rooms);
    enum err err = sum->rooms ? OK : ERR_NOMEM;
    for (size_t i = 0; i < count && !err; i++) {
        if (is_there(&parts[i])) {
            err = add_rooms(sum, &parts[i]);
        }
    }
    return err;
}

static enum err write_rooms(const struct sum *sum, struct buf *out)
{
    enum err err = OK;
    for (size_t i = 0; i < sum->used && i < OPS_ROOMS_LISTED_MAX && !err; i++) {
        err = i > 0 ? buf_append_char(out, ',') : OK;
        err = err ? err : buf_append(out, sum->rooms[i].name);
    }
    return err;
}

static enum err write_sum(const struct sum *sum, size_t count, size_t up, struct buf *out)
{
    char now[CLOCK_ISO8601_LEN + 1];
    clock_iso8601(clock_wall_ms(), now);
    enum err err = buf_printf(out, "{\"connectedClients\":%llu,\"activeRooms\":[",
                              (unsigned long long)sum->clients);
    err = err ? err : write_rooms(sum, out);
    return err ? err
               : buf_printf(out,
                            "],\"roomCount\":%llu,\"workers\":%zu,\"workersUp\":%zu,"
                            "\"timestamp\":\"%s\"}\n",
                            (unsigned long long)(sum->used + sum->unnamed), count, up, now);
}

enum err merge_stats(const struct merge_part *parts, size_t count, struct buf *out)
{
    struct sum sum = {0};
    map_init(&sum.names, key_of);
    enum err err = add_up(&sum, parts, count);
    err = err ? err : write_sum(&sum, count, merge_up(parts, count), out);
    map_fini(&sum.names);
    free(sum.rooms);
    return err;
}
