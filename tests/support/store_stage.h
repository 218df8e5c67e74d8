/*
 * A bus_store on a real Redis, for tests of what is kept there: set up and torn down by cmocka.
 */
#ifndef SUPPORT_STORE_STAGE_H
#define SUPPORT_STORE_STAGE_H

#include "bus/keys.h"
#include "bus/store.h"
#include "redis_peer.h"

struct store_stage {
    struct redis_server server;
    struct redis_link_options redis;
    struct bus_keys keys; /* "guesslyfe:", one partition */
    struct loop *loop;
    struct bus_store *store;
    unsigned ups, refusals;
    unsigned answers; /* counted by the test's own callbacks */
    char answer[1024];
};

/* *state is a struct store_stage, connected. */
int store_stage_set_up(void **state);
int store_stage_tear_down(void **state);
/* One command from another connection (redis_server_ask); the raw answer, borrowed until the next.
 */
const char *store_stage_ask(struct store_stage *stage, const char *command);
/* Until the test's callbacks have counted one answer more than at the last call. */
void store_stage_await(struct store_stage *stage);

#endif
