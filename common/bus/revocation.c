#include "bus/revocation.h"

#include <hiredis/hiredis.h>
#include <string.h>

/* --- Form --- */

enum err bus_revocation_user(struct str user, char ret_field[ROOM_ID_MAX + 1])
{
    struct room_name room;
    enum err err = room_name_make(ROOM_USER, user, &room);
    if (!err) {
        struct str id = room_name_id(&room);
        memcpy(ret_field, id.ptr, id.len);
        ret_field[id.len] = '\0';
    }
    return err;
}

enum err bus_revocation_write_value(uint64_t before, struct buf *out)
{
    return before == BUS_REVOKED_ALWAYS ? buf_append(out, STR("-")) : buf_append_u64(out, before);
}

enum err bus_revocation_parse_value(struct str value, uint64_t *ret_before)
{
    if (str_eq(value, STR("-"))) {
        *ret_before = BUS_REVOKED_ALWAYS;
        return OK;
    }
    return str_to_u64(value, ret_before);
}

/* --- Requests --- */

/* A command on the hash, with words behind its key. */
static struct bus_request *ask(struct bus_store *store, const struct bus_keys *keys,
                               struct str command, const struct str *words, size_t count,
                               bus_answer_fn done, void *context)
{
    struct buf key = {0};
    struct bus_request *request = NULL;
    struct str args[BUS_REQUEST_ARGS_MAX];
    if (!bus_revoked_key(keys, &key)) {
        args[0] = command;
        args[1] = buf_str(&key);
        memcpy(args + 2, words, count * sizeof *words);
        request = bus_store_ask(store, args, 2 + count, done, context);
    }
    buf_fini(&key);
    return request;
}

struct bus_request *bus_revocation_set(struct bus_store *store, const struct bus_keys *keys,
                                       const struct bus_revocation *revocation, bus_answer_fn done,
                                       void *context)
{
    struct buf value = {0};
    struct bus_request *request = NULL;
    if (!bus_revocation_write_value(revocation->before, &value)) {
        const struct str words[] = {revocation->user, buf_str(&value)};
        request = ask(store, keys, STR("HSET"), words, ARRAY_LEN(words), done, context);
    }
    buf_fini(&value);
    return request;
}

struct bus_request *bus_revocation_remove(struct bus_store *store, const struct bus_keys *keys,
                                          struct str user, bus_answer_fn done, void *context)
{
    return ask(store, keys, STR("HDEL"), &user, 1, done, context);
}

struct bus_request *bus_revocation_ask(struct bus_store *store, const struct bus_keys *keys,
                                       struct str user, bus_answer_fn done, void *context)
{
    return ask(store, keys, STR("HGET"), &user, 1, done, context);
}

struct bus_request *bus_revocation_ask_page(struct bus_store *store, const struct bus_keys *keys,
                                            struct str cursor, bus_answer_fn done, void *context)
{
    const struct str words[] = {cursor, STR("COUNT"), STR("1000")};
    return ask(store, keys, STR("HSCAN"), words, ARRAY_LEN(words), done, context);
}

/* --- Answers --- */

static struct str text_of(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING ? (struct str){reply->str, reply->len} : STR("");
}

enum err bus_revocation_answer(const struct redisReply *reply, uint64_t *ret_before)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        return ERR_DENIED;
    }
    if (reply->type == REDIS_REPLY_NIL) {
        *ret_before = 0;
        return OK;
    }
    return bus_revocation_parse_value(text_of(reply), ret_before);
}

enum err bus_revocation_page(const struct redisReply *reply, struct bus_revocation_page *ret_page)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[1]->type != REDIS_REPLY_ARRAY) {
        return ERR_DENIED;
    }
    *ret_page = (struct bus_revocation_page){text_of(reply->element[0]), reply->element[1], 0};
    return OK;
}

enum err bus_revocation_next(struct bus_revocation_page *page,
                             struct bus_revocation *ret_revocation)
{
    const redisReply *fields = page->fields;
    if (page->at + 1 >= fields->elements) {
        return ERR_CLOSED;
    }
    *ret_revocation = (struct bus_revocation){.user = text_of(fields->element[page->at])};
    struct str value = text_of(fields->element[page->at + 1]);
    page->at += 2;
    return bus_revocation_parse_value(value, &ret_revocation->before);
}
