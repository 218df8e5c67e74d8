#include "workers/merge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "ops/stats.h"
#include "util/clock.h"

#define SAYS(status, text)                                                                         \
    {                                                                                              \
        NULL, (status), STR(text), 0                                                               \
    }
#define NOTHING(why)                                                                               \
    {                                                                                              \
        (why), 0, {NULL, 0}, 0                                                                     \
    }

typedef enum err (*merge_fn)(const struct merge_part *parts, size_t count, struct buf *out);

static void check(merge_fn merge, const struct merge_part *parts, size_t count,
                  const char *expected)
{
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(merge(parts, count, &out), OK);
    assert_string_equal(buf_cstr(&out), expected);
    buf_fini(&out);
}

static void health_counts_who_answers(void **state)
{
    (void)state;
    const struct merge_part parts[] = {SAYS(200, "{}\n"), NOTHING("it has ended")};
    check(merge_health, parts, 2, "{\"status\":\"ok\",\"workers\":2,\"workersUp\":1}\n");
}

/* --- Readiness --- */

static void check_readiness(const struct merge_part *parts, size_t count, bool expected,
                            const char *body)
{
    struct buf out;
    bool ready = !expected;
    buf_init(&out, 0);
    assert_int_equal(merge_readiness(parts, count, &ready, &out), OK);
    assert_int_equal(ready, expected);
    assert_string_equal(buf_cstr(&out), body);
    buf_fini(&out);
}

static void all_are_ready_or_it_is_said_who_is_not(void **state)
{
    (void)state;
    const struct merge_part parts[] = {
        SAYS(200, "{\"status\":\"ready\",\"probeAgeMs\":1}\n"),
        SAYS(200, "{\"status\":\"ready\",\"probeAgeMs\":2}\n"),
        SAYS(503, "{\"status\":\"not ready\",\"why\":\"a \\\"reason\\\"\"}\n"),
        SAYS(503, "{}"),
        NOTHING("it does not answer"),
    };
    check_readiness(parts, 2, true, "{\"status\":\"ready\",\"workers\":2}\n");
    check_readiness(parts, 5, false,
                    "{\"status\":\"not ready\",\"why\":\"worker 2: a \\\"reason\\\"; "
                    "worker 3: not ready; worker 4: it does not answer\"}\n");
}

/* --- Metrics --- */

#define TABLE(rows)                                                                                \
    "# HELP guesslyfe_gateway_workers Workers that there are to be: WORKERS\n"                     \
    "# TYPE guesslyfe_gateway_workers gauge\n" rows

static void every_family_is_there_once_with_all_its_numbers(void **state)
{
    (void)state;
    const struct merge_part parts[] = {
        SAYS(200, "# HELP a A\n# TYPE a gauge\na 1\n"
                  "# HELP b B\n# TYPE b counter\nb{to=\"x y\"} 2\nb{to=\"z\"} 3\n"
                  "# HELP none N\n# TYPE none gauge\n"),
        NOTHING("it is starting"),
        SAYS(200, "# HELP a A\n# TYPE a gauge\na 4\n"
                  "# HELP b B\n# TYPE b counter\nb{to=\"x y\"} 5\n"
                  "# HELP none N\n# TYPE none gauge\nnone 0.5\n"),
    };
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(merge_metrics(parts, 3, &out), OK);
    const char *expected = "# HELP a A\n# TYPE a gauge\na{worker=\"0\"} 1\na{worker=\"2\"} 4\n"
                           "# HELP b B\n# TYPE b counter\n"
                           "b{worker=\"0\",to=\"x y\"} 2\nb{worker=\"0\",to=\"z\"} 3\n"
                           "b{worker=\"2\",to=\"x y\"} 5\n"
                           "# HELP none N\n# TYPE none gauge\nnone{worker=\"2\"} 0.5\n";
    assert_memory_equal(buf_cstr(&out), expected, strlen(expected));
    assert_non_null(strstr(out.data, TABLE("guesslyfe_gateway_workers 3\n")));
    buf_fini(&out);
}

static void workers_are_told_whatever_they_say(void **state)
{
    (void)state;
    const struct merge_part parts[] = {SAYS(200, ""), {.why_not = "it has ended", .restarts = 7}};
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(merge_metrics(parts, 2, &out), OK);
    const char *text = buf_cstr(&out);
    assert_non_null(strstr(text, "worker_up{worker=\"0\"} 1\nguesslyfe_gateway_"
                                 "worker_up{worker=\"1\"} 0\n"));
    assert_non_null(strstr(text, "worker_restarts_total{worker=\"0\"} 0\nguesslyfe_gateway_"
                                 "worker_restarts_total{worker=\"1\"} 7\n"));
    buf_fini(&out);
}

static void a_family_of_one_worker_only_stays_in_the_text(void **state)
{
    (void)state;
    const struct merge_part parts[] = {
        SAYS(200, "# HELP a A\n# TYPE a gauge\na 1\n"),
        SAYS(200, "# HELP b B\n# TYPE b gauge\nb 2\n"),
    };
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(merge_metrics(parts, 2, &out), OK);
    const char *expected = "# HELP a A\n# TYPE a gauge\na{worker=\"0\"} 1\n"
                           "# HELP b B\n# TYPE b gauge\nb{worker=\"1\"} 2\n";
    assert_memory_equal(buf_cstr(&out), expected, strlen(expected));
    buf_fini(&out);
}

/* --- Statistics --- */

static const struct clock_fake noon = {5000, 1737021600000};

static void clients_add_up_and_rooms_are_there_once(void **state)
{
    (void)state;
    clock_set_fake(&noon);
    const struct merge_part parts[] = {
        SAYS(200, "{\"connectedClients\":2,\"activeRooms\":[\"a\",\"market:\\\"x\"],"
                  "\"roomCount\":2,\"timestamp\":\"t\"}\n"),
        NOTHING("it does not answer"),
        SAYS(200, "{\"connectedClients\":3,\"activeRooms\":[\"b\",\"a\"],"
                  "\"roomCount\":2,\"timestamp\":\"t\"}\n"),
        SAYS(200, "{\"connectedClients\":0,\"activeRooms\":[],\"roomCount\":0}"),
    };
    check(merge_stats, parts, 4,
          "{\"connectedClients\":5,\"activeRooms\":[\"a\",\"market:\\\"x\",\"b\"],\"roomCount\":3,"
          "\"workers\":4,\"workersUp\":3,\"timestamp\":\"2025-01-16T10:00:00.000Z\"}\n");
    clock_set_fake(NULL);
}

static void rooms_without_a_name_are_counted(void **state)
{
    (void)state;
    clock_set_fake(&noon);
    const struct merge_part parts[] = {
        SAYS(200, "{\"connectedClients\":1,\"activeRooms\":[\"a\"],\"roomCount\":5}"),
        SAYS(200, "{\"connectedClients\":1,\"activeRooms\":[\"a\"],\"roomCount\":1}"),
    };
    check(merge_stats, parts, 2,
          "{\"connectedClients\":2,\"activeRooms\":[\"a\"],\"roomCount\":5,"
          "\"workers\":2,\"workersUp\":2,\"timestamp\":\"2025-01-16T10:00:00.000Z\"}\n");
    clock_set_fake(NULL);
}

static void what_is_no_json_is_left_out(void **state)
{
    (void)state;
    clock_set_fake(&noon);
    const struct merge_part parts[] = {SAYS(200, "{\"connectedClients\":"), SAYS(200, "[]")};
    check(merge_stats, parts, 2,
          "{\"connectedClients\":0,\"activeRooms\":[],\"roomCount\":0,"
          "\"workers\":2,\"workersUp\":2,\"timestamp\":\"2025-01-16T10:00:00.000Z\"}\n");
    clock_set_fake(NULL);
}

static void a_list_of_rooms_has_its_bound(void **state)
{
    (void)state;
    struct buf texts[2], out;
    struct merge_part parts[2] = {{.status = 200}, {.status = 200}};
    for (int worker = 0; worker < 2; worker++) {
        buf_init(&texts[worker], 0);
        assert_int_equal(buf_append(&texts[worker], STR("{\"activeRooms\":[")), OK);
        for (int i = 0; i < OPS_ROOMS_LISTED_MAX; i++) {
            assert_int_equal(buf_printf(&texts[worker], "%s\"%d:%d\"", i > 0 ? "," : "", worker, i),
                             OK);
        }
        assert_int_equal(
            buf_printf(&texts[worker], "],\"roomCount\":%d}", OPS_ROOMS_LISTED_MAX + 1), OK);
        parts[worker].body = buf_str(&texts[worker]);
    }
    buf_init(&out, 0);
    assert_int_equal(merge_stats(parts, 2, &out), OK);
    assert_non_null(strstr(buf_cstr(&out), "\"0:9999\"],\"roomCount\":20002,"));
    buf_fini(&out);
    buf_fini(&texts[0]);
    buf_fini(&texts[1]);
}

/* --- Without memory --- */

static void merge_all(void *context)
{
    const struct merge_part parts[] = {
        SAYS(200, "{\"connectedClients\":1,\"activeRooms\":[\"a\"],\"roomCount\":1}"),
        SAYS(200, "# HELP a A\n# TYPE a gauge\na 1\n"),
    };
    struct buf out;
    (void)context;
    buf_init(&out, 0);
    enum err err = merge_stats(parts, 1, &out);
    err = err ? err : merge_metrics(&parts[1], 1, &out);
    assert_true(!err || err == ERR_NOMEM);
    buf_fini(&out);
}

static void merging_survives_any_failing_allocation(void **state)
{
    (void)state;
    failing_alloc_each(merge_all, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(health_counts_who_answers),
        cmocka_unit_test(all_are_ready_or_it_is_said_who_is_not),
        cmocka_unit_test(every_family_is_there_once_with_all_its_numbers),
        cmocka_unit_test(workers_are_told_whatever_they_say),
        cmocka_unit_test(a_family_of_one_worker_only_stays_in_the_text),
        cmocka_unit_test(clients_add_up_and_rooms_are_there_once),
        cmocka_unit_test(rooms_without_a_name_are_counted),
        cmocka_unit_test(what_is_no_json_is_left_out),
        cmocka_unit_test(a_list_of_rooms_has_its_bound),
        cmocka_unit_test(merging_survives_any_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
