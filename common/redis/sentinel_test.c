/* Lists of sentinels, what sentinels say, and the settings that go together. */
#include "redis/sentinel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "redis/options.h"
#include "redis/replies.h"

/* The list as it was understood: "host:port host:port", or the error's name. */
static void expect_list(const char *list, const char *expected)
{
    struct redis_endpoint sentinels[REDIS_SENTINELS_MAX];
    char text[8 * REDIS_ENDPOINT_TEXT_MAX] = "", one[REDIS_ENDPOINT_TEXT_MAX];
    size_t count = 0;
    enum err err = redis_sentinels_parse(list, sentinels, &count);
    for (size_t i = 0; !err && i < count; i++) {
        redis_endpoint_print(&sentinels[i], one);
        strcat(strcat(text, i > 0 ? " " : ""), one);
    }
    assert_string_equal(err ? err_name(err) : text, expected);
}

static void lists_are_understood(void **state)
{
    (void)state;
    expect_list("a:1", "a:1");
    expect_list("a", "a:26379");
    expect_list("a:1,b.example:65535,c", "a:1 b.example:65535 c:26379");
    expect_list(" a:1 ,\tb ", "a:1 b:26379");
    expect_list("[::1]:7", "[::1]:7");
    expect_list("[2001:db8::1],10.0.0.1", "[2001:db8::1]:26379 10.0.0.1:26379");
    expect_list("[fe80::1%eth0]:7", "[fe80::1%eth0]:7");
    expect_list("[name]:7", "name:7");
}

static void lists_that_are_wrong(void **state)
{
    (void)state;
    static const char *const lists[] = {
        "",          " ",       ",",     "a,",     ",a",     "a,,b",
        ":1",        "a:",      "a:0",   "a:x",    "a:-1",   "a:+1",
        "a: 1",      "a:65536", "::1",   "::1:7",  "a:1:2",  "a:99999999999999999999",
        "[::1",      "[]",      "[]:1",  "[::1]7", "[::1]:", "[::1]]:7",
        "[[::1]]:7", "::1]:7",  "a b:1",
    };
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        expect_list(lists[i], "invalid");
    }
}

static void lists_are_bounded(void **state)
{
    (void)state;
    char host[REDIS_HOST_MAX + 2], list[2 * REDIS_SENTINELS_MAX + 2] = "";
    struct redis_endpoint sentinels[REDIS_SENTINELS_MAX];
    size_t count;
    memset(host, 'h', sizeof host);
    host[REDIS_HOST_MAX + 1] = '\0';
    expect_list(host, "invalid");
    assert_int_equal(redis_sentinels_parse(host + 1, sentinels, &count), OK);
    for (int i = 0; i < REDIS_SENTINELS_MAX; i++) {
        strcat(list, i > 0 ? ",a" : "a");
    }
    assert_int_equal(redis_sentinels_parse(list, sentinels, &count), OK);
    assert_int_equal(count, REDIS_SENTINELS_MAX);
    expect_list(strcat(list, ",a"), "limit exceeded");
}

/* --- Settings --- */

static void expect_complaint(const struct redis_link_options *changed, const char *complaint)
{
    struct redis_link_options options = *changed;
    struct buf text;
    options.host = "h";
    buf_init(&text, 0);
    enum err err = redis_options_check(&options, &text);
    assert_int_equal(err, *complaint ? ERR_INVALID : OK);
    assert_non_null(strstr(*complaint ? buf_cstr(&text) : "", complaint));
    buf_fini(&text);
}

static void settings_that_belong_together(void **state)
{
    (void)state;
    const struct {
        struct redis_link_options options;
        const char *complaint;
    } cases[] = {
        {{.port = 1}, ""},
        {{.sentinels = "a,b", .sentinel_master = "m"}, ""},
        {{.sentinels = "a", .sentinel_master = "m", .sentinel_password = "p"}, ""},
        {{.sentinels = "a"}, "REDIS_SENTINELS is set without REDIS_SENTINEL_MASTER"},
        {{.sentinel_master = "m"}, "REDIS_SENTINEL_MASTER is set without REDIS_SENTINELS"},
        {{.sentinel_password = "p"}, "without REDIS_SENTINELS; expected"},
        {{.sentinel_user = "u"}, "without REDIS_SENTINELS; expected"},
        {{.sentinels = "a:b", .sentinel_master = "m"}, "REDIS_SENTINELS is \"a:b\"; expected"},
        {{.sentinels = "", .sentinel_master = "m"}, "REDIS_SENTINELS is \"\"; expected"},
        {{.backoff_min_ms = 2, .backoff_max_ms = 1}, "REDIS_BACKOFF_MIN is larger"},
        {{.tls_key = "k"}, "REDIS_TLS_KEY is set without REDIS_TLS_CERT"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        expect_complaint(&cases[i].options, cases[i].complaint);
    }
}

static void a_sentinel_gets_nothing_of_the_primarys(void **state)
{
    (void)state;
    struct redis_endpoint sentinel = {"s", 7};
    struct redis_link_options redis = {
        .host = "h",
        .port = 6379,
        .user = "u",
        .password = "p",
        .db = 3,
        .tls = true,
        .tls_ca = "ca",
        .sentinels = "s:7",
        .sentinel_master = "m",
        .sentinel_password = "sp",
    };
    struct redis_link_options options = redis_sentinel_options(&redis, &sentinel);
    assert_string_equal(options.host, "s");
    assert_int_equal(options.port, 7);
    assert_null(options.user);
    assert_string_equal(options.password, "sp");
    assert_int_equal(options.db, 0);
    assert_true(options.tls && options.to_sentinel);
    assert_string_equal(options.tls_ca, "ca");
    assert_null(options.sentinels);
}

/* --- What it says --- */

struct saying {
    const char *master;
    char text[REDIS_ENDPOINT_TEXT_MAX];
};

static bool take_address(void *context, const redisReply *reply)
{
    struct saying *saying = context;
    struct redis_endpoint primary;
    const char *why = "";
    if (redis_sentinel_read_address(reply, &primary, &why) == OK) {
        redis_endpoint_print(&primary, saying->text);
    } else {
        snprintf(saying->text, sizeof saying->text, "%s", why);
    }
    return true;
}

static bool take_switch(void *context, const redisReply *reply)
{
    struct saying *saying = context;
    struct redis_endpoint primary;
    enum err err = redis_sentinel_read_switch(reply, saying->master, &primary);
    if (err) {
        snprintf(saying->text, sizeof saying->text, "%s", err_name(err));
    } else {
        redis_endpoint_print(&primary, saying->text);
    }
    return true;
}

static void expect_reading(redis_take_fn take, const char *bytes, const char *expected)
{
    struct redis_replies replies;
    struct saying saying = {"m", ""};
    const char *why = "";
    assert_int_equal(redis_replies_init(&replies), OK);
    assert_int_equal(redis_replies_feed(&replies, str_from(bytes), take, &saying, &why), OK);
    assert_string_equal(saying.text, expected);
    redis_replies_fini(&replies);
}

static void answers_are_read(void **state)
{
    (void)state;
    static const char *const no_address = "it answered what is no address";
    expect_reading(take_address, "*2\r\n$8\r\n10.0.0.1\r\n$4\r\n6379\r\n", "10.0.0.1:6379");
    expect_reading(take_address, "*2\r\n$3\r\n::1\r\n$4\r\n6379\r\n", "[::1]:6379");
    expect_reading(take_address, "*-1\r\n", "it does not know this name");
    expect_reading(take_address, "-ERR whatever\r\n", "ERR whatever");
    expect_reading(take_address, "+OK\r\n", no_address);
    expect_reading(take_address, ":1\r\n", no_address);
    expect_reading(take_address, "*1\r\n$8\r\n10.0.0.1\r\n", no_address);
    expect_reading(take_address, "*2\r\n$0\r\n\r\n$4\r\n6379\r\n", no_address);
    expect_reading(take_address, "*2\r\n$8\r\n10.0.0.1\r\n$5\r\n65536\r\n", no_address);
    expect_reading(take_address, "*2\r\n$8\r\n10.0.0.1\r\n$1\r\n0\r\n", no_address);
    expect_reading(take_address, "*2\r\n$8\r\n10.0.0.1\r\n:6379\r\n", no_address);
    expect_reading(take_address, "*2\r\n*0\r\n*0\r\n", no_address);
}

static void expect_switch(const char *text, const char *expected)
{
    char bytes[512];
    snprintf(bytes, sizeof bytes, "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$%zu\r\n%s\r\n",
             strlen(text), text);
    expect_reading(take_switch, bytes, expected);
}

static void switches_are_read(void **state)
{
    (void)state;
    expect_switch("m 10.0.0.1 6379 10.0.0.2 6380", "10.0.0.2:6380");
    expect_switch("other 10.0.0.1 6379 10.0.0.2 6380", "invalid");
    expect_switch("mm 10.0.0.1 6379 10.0.0.2 6380", "invalid");
    expect_switch("m 10.0.0.1 6379 10.0.0.2", "invalid");
    expect_switch("m 10.0.0.1 6379 10.0.0.2 x", "invalid");
    expect_switch("m 10.0.0.1 6379  6380", "invalid");
    expect_switch("", "invalid");
    expect_reading(take_switch, "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n",
                   "invalid");
    expect_reading(take_switch, "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n*0\r\n",
                   "invalid");
    expect_reading(take_switch, "+OK\r\n", "invalid");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_understood),
        cmocka_unit_test(lists_that_are_wrong),
        cmocka_unit_test(lists_are_bounded),
        cmocka_unit_test(settings_that_belong_together),
        cmocka_unit_test(a_sentinel_gets_nothing_of_the_primarys),
        cmocka_unit_test(answers_are_read),
        cmocka_unit_test(switches_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
