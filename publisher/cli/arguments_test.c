#include "publisher/cli/arguments.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "publisher/cli/verb.h"
#include "util/attr.h"

#define PARSE(arguments, complaint, ...)                                                           \
    parse((arguments), (complaint), (const char *[]){"guesslyfe-publish", __VA_ARGS__, NULL})

static enum err parse(struct arguments *arguments, struct buf *complaint, const char **argv)
{
    int argc = 0;
    while (argv[argc]) {
        argc++;
    }
    return arguments_parse(argc, (char **)argv, arguments, complaint);
}

static void expect_field(const struct arguments *arguments, size_t i, const char *name,
                         const char *value)
{
    assert_true(i < arguments->field_count);
    assert_int_equal(arguments->fields[i].name_len, strlen(name));
    assert_memory_equal(arguments->fields[i].name, name, strlen(name));
    assert_string_equal(arguments->fields[i].value, value);
}

static void tells_options_settings_and_fields_apart(void **state)
{
    (void)state;
    struct arguments a;
    struct buf complaint = {0};
    enum err err = PARSE(&a, &complaint, "--redis-host", "h", "system:announcement", "--id", "1",
                         "--title=a=b", "--json", "--redis-tls", "--idempotency-key", "k");
    assert_int_equal(err, OK);
    assert_string_equal(a.operands[0], "system:announcement");
    assert_null(a.operands[1]);
    assert_true(a.json);
    assert_false(a.dry_run);
    assert_string_equal(a.key, "k");
    assert_string_equal(a.settings[0], "REDIS_HOST=h");
    assert_string_equal(a.settings[1], "REDIS_TLS=true");
    assert_null(a.settings[2]);
    assert_int_equal(a.field_count, 2);
    expect_field(&a, 0, "id", "1");
    expect_field(&a, 1, "title", "a=b");
    arguments_fini(&a);
}

static void values_may_look_like_flags(void **state)
{
    (void)state;
    struct arguments a;
    struct buf complaint = {0};
    assert_int_equal(PARSE(&a, &complaint, "e", "--title", "--json", "--amount", "-1"), OK);
    assert_false(a.json);
    expect_field(&a, 0, "title", "--json");
    expect_field(&a, 1, "amount", "-1");
    arguments_fini(&a);
}

static void short_flags_are_settings(void **state)
{
    (void)state;
    struct arguments a;
    struct buf complaint = {0};
    assert_int_equal(PARSE(&a, &complaint, "e", "--wait-replicas=2", "--timeout", "250"), OK);
    assert_string_equal(a.settings[0], "PUBLISH_TIMEOUT=250");
    assert_string_equal(a.settings[1], "PUBLISH_WAIT_REPLICAS=2");
    arguments_fini(&a);
}

static void behind_two_dashes_are_operands(void **state)
{
    (void)state;
    struct arguments a;
    struct buf complaint = {0};
    assert_int_equal(PARSE(&a, &complaint, "--", "--json", "-h"), OK);
    assert_false(a.json || a.help);
    assert_string_equal(a.operands[0], "--json");
    assert_string_equal(a.operands[1], "-h");
    arguments_fini(&a);
}

static void expect_refusal(const char **argv, const char *complaint_part)
{
    struct arguments a;
    struct buf complaint = {0};
    assert_int_equal(parse(&a, &complaint, argv), ERR_INVALID);
    assert_non_null(strstr(buf_cstr(&complaint), complaint_part));
    arguments_fini(&a);
    buf_fini(&complaint);
}

static void refuses_what_cannot_be(void **state)
{
    (void)state;
    expect_refusal((const char *[]){"p", "--data", NULL}, "--data needs a value");
    expect_refusal((const char *[]){"p", "e", "--title", NULL}, "--title is unknown");
    expect_refusal((const char *[]){"p", "--redis-port", NULL}, "--redis-port needs a value");
    expect_refusal((const char *[]){"p", "--json=yes", NULL}, "--json takes no value");
    expect_refusal((const char *[]){"p", "a", "b", "c", NULL}, "\"c\" is one argument too many");
}

static void a_verb_has_flags_of_its_own(void **state)
{
    (void)state;
    struct arguments a;
    struct buf complaint = {0};
    enum err err = PARSE(&a, &complaint, "--redis-host", "h", "tail", "market:1", "--last=3",
                         "creator:2", "--all", "--event", "x", "--event", "y", "--json");
    assert_int_equal(err, OK);
    assert_string_equal(a.verb->name, "tail");
    assert_string_equal(a.operands[1], "market:1");
    assert_string_equal(a.operands[2], "creator:2");
    assert_null(a.operands[3]);
    assert_true(arguments_has(&a, "all"));
    assert_false(arguments_has(&a, "since"));
    assert_string_equal(arguments_value(&a, "last"), "3");
    assert_string_equal(arguments_value(&a, "event"), "y");
    assert_null(arguments_value(&a, "all"));
    assert_true(a.json);
    assert_string_equal(a.settings[0], "REDIS_HOST=h");
    arguments_fini(&a);
}

static void a_value_may_be_missing_where_it_may(void **state)
{
    (void)state;
    struct arguments a;
    struct buf complaint = {0};
    assert_int_equal(PARSE(&a, &complaint, "fleet", "--watch", "--json"), OK);
    assert_true(arguments_has(&a, "watch") && a.json);
    assert_null(arguments_value(&a, "watch"));
    arguments_fini(&a);
    assert_int_equal(PARSE(&a, &complaint, "fleet", "--watch", "5"), OK);
    assert_string_equal(arguments_value(&a, "watch"), "5");
    arguments_fini(&a);
}

static void numbers_of_a_verb_are_bounded(void **state)
{
    (void)state;
    struct arguments a;
    struct buf complaint = {0};
    const struct arguments_range range = {1, 9, 4};
    uint64_t number = 0;
    assert_int_equal(PARSE(&a, &complaint, "tail", "--last", "9", "--count", "10"), OK);
    assert_int_equal(arguments_number(&a, "last", range, &number, &complaint), OK);
    assert_int_equal(number, 9);
    assert_int_equal(arguments_number(&a, "since", range, &number, &complaint), OK);
    assert_int_equal(number, 4);
    assert_int_equal(arguments_number(&a, "count", range, &number, &complaint), ERR_INVALID);
    assert_string_equal(buf_cstr(&complaint), "--count: expected a number from 1 to 9, got \"10\"");
    arguments_fini(&a);
    buf_fini(&complaint);
}

static void a_verb_has_no_fields(void **state)
{
    (void)state;
    expect_refusal((const char *[]){"p", "tail", "--title", "x", NULL}, "unknown option --title");
    expect_refusal((const char *[]){"p", "--title", "x", "tail", NULL}, "unknown option --title");
    expect_refusal((const char *[]){"p", "tail", "--data", "{}", NULL}, "--data is for events");
    expect_refusal((const char *[]){"p", "user", "a", "b", NULL}, "\"b\" is one argument too many");
    expect_refusal((const char *[]){"p", "token", "--redis-host", "h", NULL}, "--redis-host");
}

static void parse_with_failing_alloc(void *context)
{
    (void)context;
    struct arguments a;
    struct buf complaint = {0};
    enum err err = PARSE(&a, &complaint, "e", "--id", "1", "--redis-host", "h", "--timeout", "1");
    assert_true(err == OK || err == ERR_NOMEM);
    arguments_fini(&a);
    err = PARSE(&a, &complaint, "tail", "market:1", "--last", "1", "--redis-host", "h");
    assert_true(err == OK || err == ERR_NOMEM);
    arguments_fini(&a);
    buf_fini(&complaint);
}

static void survives_failing_allocations(void **state)
{
    (void)state;
    failing_alloc_each(parse_with_failing_alloc, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_options_settings_and_fields_apart),
        cmocka_unit_test(values_may_look_like_flags),
        cmocka_unit_test(short_flags_are_settings),
        cmocka_unit_test(behind_two_dashes_are_operands),
        cmocka_unit_test(refuses_what_cannot_be),
        cmocka_unit_test(a_verb_has_flags_of_its_own),
        cmocka_unit_test(a_value_may_be_missing_where_it_may),
        cmocka_unit_test(numbers_of_a_verb_are_bounded),
        cmocka_unit_test(a_verb_has_no_fields),
        cmocka_unit_test(survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
