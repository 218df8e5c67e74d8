/*
 * What an operator asks of all gateways at once, and their answers: the verbs `disconnect`,
 * `members`, `user`, `revoked`, `unrevoked`, `ping` of docs/fleet.md. Each is a control message
 * whose payload is a JSON object, in which `answer` says where the answer is published.
 */
#ifndef APP_CONTROL_H
#define APP_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "bus/control.h"
#include "util/list.h"

struct app;
struct app_control;

enum {
    APP_CONTROL_VERBS = 6,
    APP_CONTROL_WAITING_MAX = 64,  /* questions that are being worked on */
    APP_CONTROL_LISTED_MAX = 1000, /* members in one answer */
};

struct app_control_ear {
    struct bus_listener listener;
    struct app_control *control;
};

struct app_control {
    struct app *app;
    struct app_control_ear ears[APP_CONTROL_VERBS]; /* one a verb */
    struct list waiting;                            /* questions that take more than a turn */
    size_t count;                                   /* of them */
    uint64_t asked;                                 /* since the start */
};

void app_control_init(struct app_control *control, struct app *app);
void app_control_fini(struct app_control *control);

#endif
