#include "ops/health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* --- The bus and the sessions --- */

static enum bus_readiness readiness;
static uint64_t age_ms;
static const struct eio_server_stats engine_stats = {.sessions = 7};

bool bus_subscriber_connected(const struct bus_subscriber *subscriber)
{
    (void)subscriber;
    return readiness != BUS_NOT_CONNECTED;
}

enum bus_readiness bus_subscriber_readiness(const struct bus_subscriber *subscriber)
{
    (void)subscriber;
    return readiness;
}

uint64_t bus_subscriber_probe_age_ms(const struct bus_subscriber *subscriber)
{
    (void)subscriber;
    return age_ms;
}

const struct eio_server_stats *eio_server_stats(const struct eio_server *server)
{
    (void)server;
    return &engine_stats;
}

static struct app app = {.revocations.known = true};
static const struct ops_sources sources = {.app = &app};

/* --- Tests --- */

static void check_readiness(enum bus_readiness is, uint64_t ms, const char *expected)
{
    struct buf out;
    bool ready = is != BUS_READY;
    buf_init(&out, 0);
    readiness = is;
    age_ms = ms;
    assert_int_equal(ops_readiness_write(&sources, &ready, &out), OK);
    assert_string_equal(buf_cstr(&out), expected);
    assert_int_equal(ready, is == BUS_READY);
    buf_fini(&out);
}

static void readiness_has_its_reason(void **state)
{
    (void)state;
    check_readiness(BUS_READY, 12, "{\"status\":\"ready\",\"probeAgeMs\":12}\n");
    check_readiness(BUS_NOT_CONNECTED, UINT64_MAX,
                    "{\"status\":\"not ready\",\"why\":\"Redis is not connected\"}\n");
    check_readiness(
        BUS_PROBES_REFUSED, UINT64_MAX,
        "{\"status\":\"not ready\",\"why\":\"Redis refuses probes; the log has its words\"}\n");
    check_readiness(BUS_NO_PROBE_YET, UINT64_MAX,
                    "{\"status\":\"not ready\",\"why\":\"no probe has come back yet\"}\n");
    check_readiness(BUS_PROBES_MISSED, 700,
                    "{\"status\":\"not ready\",\"why\":\"probes missed; the last one came back "
                    "700 ms ago\"}\n");
    check_readiness(BUS_PROBE_OVERDUE, 15000,
                    "{\"status\":\"not ready\",\"why\":\"no probe has come back for 15000 ms\"}\n");
}

static void revocations_have_to_be_known(void **state)
{
    (void)state;
    struct buf out;
    bool ready = true;
    buf_init(&out, 0);
    readiness = BUS_READY;
    app.revocations.known = false;
    assert_int_equal(ops_readiness_write(&sources, &ready, &out), OK);
    assert_string_equal(buf_cstr(&out),
                        "{\"status\":\"not ready\",\"why\":\"revocations are not read yet\"}\n");
    assert_false(ready);
    app.revocations.known = true;
    buf_fini(&out);
}

static void check_health(enum bus_readiness is, uint64_t ms, const char *expected)
{
    struct buf out;
    buf_init(&out, 0);
    readiness = is;
    age_ms = ms;
    assert_int_equal(ops_health_write(&sources, &out), OK);
    assert_string_equal(buf_cstr(&out), expected);
    buf_fini(&out);
}

static void health_is_good_whatever_redis_does(void **state)
{
    (void)state;
    check_health(BUS_READY, 12,
                 "{\"status\":\"ok\",\"redis\":\"up\",\"probeAgeMs\":12,\"sessions\":7}\n");
    check_health(BUS_NOT_CONNECTED, UINT64_MAX,
                 "{\"status\":\"ok\",\"redis\":\"down\",\"probeAgeMs\":null,\"sessions\":7}\n");
}

static void what_does_not_fit_is_an_error(void **state)
{
    (void)state;
    struct buf out;
    bool ready;
    buf_init(&out, 10);
    assert_int_equal(ops_health_write(&sources, &out), ERR_LIMIT);
    assert_int_equal(ops_readiness_write(&sources, &ready, &out), ERR_LIMIT);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readiness_has_its_reason),
        cmocka_unit_test(revocations_have_to_be_known),
        cmocka_unit_test(health_is_good_whatever_redis_does),
        cmocka_unit_test(what_does_not_fit_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
