/* The courier where memory is short: every allocation of a life with Redis fails once. */

#include <guesslyfe/publisher.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "redis_server.h"

struct fixture {
    struct redis_server server;
    char port[32];
    unsigned lives;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f) {
        return -1;
    }
    redis_server_start(&f->server, NULL, false);
    snprintf(f->port, sizeof f->port, "REDIS_PORT=%u", (unsigned)f->server.port);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    redis_server_stop(&f->server);
    free(f);
    return 0;
}

static void count(void *context, enum glyfe_error error, const struct glyfe_result *result,
                  const char *message)
{
    unsigned *told = context;
    (void)message;
    assert_true((error == GLYFE_OK) == (result != NULL));
    ++*told;
}

/* Whatever fails, each event has exactly one end. */
static void live(void *context)
{
    struct fixture *f = context;
    const char *const settings[] = {f->port, "REDIS_BACKOFF_MIN=1", "REDIS_BACKOFF_MAX=1", NULL};
    struct glyfe_publisher *publisher = glyfe_publisher_open(settings, NULL, 0);
    if (!publisher) {
        return;
    }
    unsigned taken = 0, told = 0;
    for (int i = 0; i < 3; i++) {
        enum glyfe_error error =
            glyfe_submit(publisher, "system:maintenance", "{\"enabled\":true,\"message\":\"m\"}",
                         i == 1 ? "k" : NULL, count, &told);
        taken += error == GLYFE_OK;
    }
    assert_int_equal(glyfe_flush(publisher), GLYFE_OK);
    assert_int_equal(told, taken);
    f->lives++;
    glyfe_publisher_close(publisher);
}

static void each_event_ends_once_whatever_allocation_fails(void **state)
{
    struct fixture *f = *state;
    failing_alloc_each(live, f);
    assert_true(f->lives > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_event_ends_once_whatever_allocation_fails, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
