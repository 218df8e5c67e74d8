#include "bus/session.h"

#include <hiredis/hiredis.h>

/* --- Text --- */

/* Words are separated by single spaces; an empty one is written "-". */
static struct str word_or_dash(struct str word)
{
    return word.len > 0 ? word : STR("-");
}

static struct str unless_dash(struct str word)
{
    return str_eq(word, STR("-")) ? STR("") : word;
}

/* What separates words and lines would let a name from outside add a line of its own. */
static bool is_word(struct str word)
{
    for (size_t i = 0; i < word.len; i++) {
        unsigned char byte = (unsigned char)word.ptr[i];
        if (byte <= ' ' || byte == 0x7f) {
            return false;
        }
    }
    return word.len > 0;
}

static bool has_words(const struct bus_session *session)
{
    return is_word(session->gateway) && is_word(word_or_dash(session->epoch)) &&
           is_word(session->sid) && is_word(session->sub) &&
           is_word(word_or_dash(session->address));
}

enum err bus_session_write(const struct bus_session *session, struct buf *out)
{
    struct str address = word_or_dash(session->address), epoch = word_or_dash(session->epoch);
    if (!has_words(session)) {
        return ERR_INVALID;
    }
    return buf_printf(out, STR_FMT " " STR_FMT " " STR_FMT " " STR_FMT " " STR_FMT " %llu %llu\n",
                      STR_ARG(session->gateway), STR_ARG(epoch), STR_ARG(session->sid),
                      STR_ARG(session->sub), STR_ARG(address), (unsigned long long)session->last_id,
                      (unsigned long long)session->as_of);
}

enum err bus_session_write_room(const struct bus_session_room *room, struct buf *out)
{
    if (!is_word(room->name)) {
        return ERR_INVALID;
    }
    return buf_printf(out, "%llu %c " STR_FMT "\n", (unsigned long long)room->since,
                      room->visible ? 'v' : 'h', STR_ARG(room->name));
}

static bool read_room(struct str line, struct bus_session_room *room)
{
    struct str since, shown;
    bool whole = str_split(&line, ' ', &since) && str_split(&line, ' ', &shown) &&
                 str_split(&line, ' ', &room->name) && !line.ptr && is_word(room->name) &&
                 !str_to_u64(since, &room->since);
    room->visible = whole && str_eq(shown, STR("v"));
    return whole && (room->visible || str_eq(shown, STR("h")));
}

bool bus_session_next(struct bus_session *session, struct bus_session_room *ret_room)
{
    struct str line;
    return str_split(&session->rooms, '\n', &line) && line.len > 0 && read_room(line, ret_room);
}

/* Up to the end of the last line. */
static bool rooms_are_whole(struct bus_session session)
{
    struct bus_session_room room;
    unsigned count = 0;
    for (; session.rooms.len > 0; count++) {
        if (!bus_session_next(&session, &room) || !session.rooms.ptr) {
            return false;
        }
    }
    return count <= BUS_SESSION_ROOMS_MAX;
}

enum err bus_session_parse(struct str text, struct bus_session *ret_session)
{
    struct bus_session session = {.rooms = text};
    struct str line, last_id, as_of;
    bool whole = str_split(&session.rooms, '\n', &line) && session.rooms.ptr &&
                 str_split(&line, ' ', &session.gateway) && str_split(&line, ' ', &session.epoch) &&
                 str_split(&line, ' ', &session.sid) && str_split(&line, ' ', &session.sub) &&
                 str_split(&line, ' ', &session.address) && str_split(&line, ' ', &last_id) &&
                 str_split(&line, ' ', &as_of) && !line.ptr;
    if (!whole || str_to_u64(last_id, &session.last_id) || str_to_u64(as_of, &session.as_of) ||
        !has_words(&session) || !rooms_are_whole(session)) {
        return ERR_PROTO;
    }
    session.epoch = unless_dash(session.epoch);
    session.address = unless_dash(session.address);
    *ret_session = session;
    return OK;
}

/* --- Requests --- */

struct bus_request *bus_session_load(struct bus_store *store, const struct bus_keys *keys,
                                     struct str pid, bus_answer_fn done, void *context)
{
    struct buf key = {0};
    struct bus_request *request = NULL;
    if (!bus_session_key(keys, pid, &key)) {
        const struct str args[] = {STR("GET"), buf_str(&key)};
        request = bus_store_ask(store, args, ARRAY_LEN(args), done, context);
    }
    buf_fini(&key);
    return request;
}

struct bus_request *bus_session_claim(struct bus_store *store, const struct bus_keys *keys,
                                      struct str pid, struct str text, uint64_t ttl_ms,
                                      bus_answer_fn done, void *context)
{
    struct buf key = {0}, ttl = {0};
    struct bus_request *request = NULL;
    if (!bus_session_key(keys, pid, &key) && !buf_append_u64(&ttl, ttl_ms)) {
        const struct str args[] = {STR("SET"), buf_str(&key), text, STR("PX"), buf_str(&ttl)};
        request = bus_store_ask(store, args, ARRAY_LEN(args), done, context);
    }
    buf_fini(&key);
    buf_fini(&ttl);
    return request;
}

struct bus_request *bus_session_keep(struct bus_store *store, const struct bus_keys *keys,
                                     struct str pid, struct str gateway, struct str text,
                                     uint64_t ttl_ms, bus_answer_fn done, void *context)
{
    struct buf key = {0}, ttl = {0};
    struct bus_request *request = NULL;
    if (!bus_session_key(keys, pid, &key) && !buf_append_u64(&ttl, ttl_ms)) {
        const struct str args[] = {buf_str(&key), gateway, text, buf_str(&ttl)};
        request = bus_store_call(store, &bus_keep_script, 1, args, ARRAY_LEN(args), done, context);
    }
    buf_fini(&key);
    buf_fini(&ttl);
    return request;
}

struct bus_request *bus_session_drop(struct bus_store *store, const struct bus_keys *keys,
                                     struct str pid)
{
    struct buf key = {0};
    struct bus_request *request = NULL;
    if (!bus_session_key(keys, pid, &key)) {
        const struct str args[] = {STR("DEL"), buf_str(&key)};
        request = bus_store_ask(store, args, ARRAY_LEN(args), NULL, NULL);
    }
    buf_fini(&key);
    return request;
}

struct str bus_session_loaded(const struct redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING ? (struct str){reply->str, reply->len} : STR("");
}

enum bus_session_kept bus_session_kept(const struct redisReply *reply)
{
    switch (reply->type) {
    case REDIS_REPLY_STATUS: /* to a claim */
        return BUS_SESSION_KEPT;
    case REDIS_REPLY_INTEGER:
        return reply->integer ? BUS_SESSION_KEPT : BUS_SESSION_TAKEN;
    default:
        return BUS_SESSION_REFUSED;
    }
}
