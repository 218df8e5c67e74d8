/* What the checks of `doctor` share: a console, what Redis says of itself, and a way to tell. */
#ifndef PUBLISHER_CLI_DOCTOR_DOCTOR_H
#define PUBLISHER_CLI_DOCTOR_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "publisher/cli/console.h"
#include "util/attr.h"
#include "util/str.h"

enum verdict {
    VERDICT_OK,
    VERDICT_WARN,    /* works, but not in every case */
    VERDICT_FAIL,    /* events, clients or revocations are lost, or will be */
    VERDICT_UNKNOWN, /* this user may not look */
    VERDICTS,
};

struct doctor {
    struct console console;
    const char *program;  /* whose rights are needed; NULL: of any */
    const char *acl_user; /* whose rights are looked at; NULL: the connection's */
    uint64_t proxy_idle_ms, wait_ms;
    char *info;              /* what INFO says; NULL: it is refused */
    char *setting;           /* that was asked for last */
    unsigned told[VERDICTS]; /* how often */
};

/*
 * One line for one check. `advice` is what to change, NULL where there is nothing; the words must
 * be UTF-8 without control characters.
 */
void doctor_say(struct doctor *doctor, enum verdict verdict, const char *check, const char *advice,
                const char *format, ...) PRINTF_LIKE(5, 6);
/* UNKNOWN: Redis' words, or why there was no answer. */
void doctor_cannot(struct doctor *doctor, const char *check, const struct answer *answer);

/* What INFO says; empty where it was refused. */
struct str doctor_info(const struct doctor *doctor, const char *name);
uint64_t doctor_info_number(const struct doctor *doctor, const char *name);
/* The value of a setting of Redis, borrowed until the next; NULL where it may not be seen. */
const char *doctor_setting(struct doctor *doctor, const char *name);

/* The checks, in the order in which they are told. */
void doctor_check_server(struct doctor *doctor);
void doctor_check_memory(struct doctor *doctor);
void doctor_check_bus(struct doctor *doctor);
void doctor_check_rights(struct doctor *doctor);
void doctor_check_fleet(struct doctor *doctor);

#endif
