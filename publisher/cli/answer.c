#include "publisher/cli/answer.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

static enum err copy_text(const redisReply *reply, enum answer_kind kind, struct answer *answer)
{
    char *text = str_dup((struct str){reply->str, reply->len});
    if (!text) {
        return ERR_NOMEM;
    }
    *answer = (struct answer){.kind = kind, .text = {text, reply->len}};
    return OK;
}

static enum err copy_list(const redisReply *reply, struct answer *answer)
{
    *answer = (struct answer){.kind = ANSWER_LIST,
                              .items = calloc(reply->elements + 1, sizeof *answer->items)};
    enum err err = answer->items ? OK : ERR_NOMEM;
    while (!err && answer->count < reply->elements) {
        err = answer_copy(reply->element[answer->count], &answer->items[answer->count]);
        answer->count += !err;
    }
    if (err) {
        answer_fini(answer);
    }
    return err;
}

enum err answer_copy(const struct redisReply *reply, struct answer *ret_answer)
{
    switch (reply->type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
        return copy_text(reply, ANSWER_TEXT, ret_answer);
    case REDIS_REPLY_ERROR:
        return copy_text(reply, ANSWER_ERROR, ret_answer);
    case REDIS_REPLY_ARRAY:
        return copy_list(reply, ret_answer);
    case REDIS_REPLY_INTEGER:
        *ret_answer = (struct answer){.kind = ANSWER_NUMBER, .number = reply->integer};
        return OK;
    default:
        *ret_answer = (struct answer){.kind = ANSWER_NIL};
        return OK;
    }
}

void answer_fini(struct answer *answer)
{
    for (size_t i = 0; i < answer->count; i++) {
        answer_fini(&answer->items[i]);
    }
    free(answer->items);
    free((char *)answer->text.ptr);
    *answer = (struct answer){0};
}

struct str answer_item(const struct answer *answer, size_t i)
{
    bool there = answer->kind == ANSWER_LIST && i < answer->count;
    return there && answer->items[i].kind == ANSWER_TEXT ? answer->items[i].text : STR("");
}

struct str answer_info(struct str info, const char *name)
{
    struct str wanted = str_from(name), line;
    while (str_split(&info, '\n', &line)) {
        if (str_starts(line, wanted) && line.len > wanted.len && line.ptr[wanted.len] == ':') {
            struct str value = str_skip(line, wanted.len + 1);
            return str_range(value.ptr, str_find(value, '\r'));
        }
    }
    return STR("");
}

unsigned long long answer_info_number(struct str info, const char *name)
{
    uint64_t number;
    return str_to_u64(answer_info(info, name), &number) ? 0 : number;
}
