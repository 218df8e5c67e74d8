/* What Redis answered, as a copy of our own: a link lends its replies for the moment only. */
#ifndef PUBLISHER_CLI_ANSWER_H
#define PUBLISHER_CLI_ANSWER_H

#include <stddef.h>

#include "util/attr.h"
#include "util/err.h"
#include "util/str.h"

struct redisReply;

enum answer_kind { ANSWER_NIL, ANSWER_TEXT, ANSWER_NUMBER, ANSWER_ERROR, ANSWER_LIST };

struct answer {
    enum answer_kind kind;
    struct str text; /* of TEXT and ERROR, terminated; empty otherwise */
    long long number;
    struct answer *items; /* of LIST */
    size_t count;
};

/* NOMEM: there is nothing to release. */
MUST_CHECK enum err answer_copy(const struct redisReply *reply, struct answer *ret_answer);
/* It is NIL afterwards. */
void answer_fini(struct answer *answer);

/* The text of an item; empty where there is no such item, or it is no text. */
struct str answer_item(const struct answer *answer, size_t i);
/* The value of "name:value\r\n" in what INFO says; empty where it is not there. */
struct str answer_info(struct str info, const char *name);
/* The same as a number; 0 where there is none. */
unsigned long long answer_info_number(struct str info, const char *name);

#endif
