#include "publisher/cli/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/attr.h"

enum { ARRIVED_MS = 5000 };

static void expect(const char *message, size_t len, bool json, const char *line)
{
    struct bus_envelope envelope;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_int_equal(bus_envelope_parse((struct str){message, len}, &envelope), OK);
    line_print(&envelope, json, ARRIVED_MS, out);
    fclose(out);
    assert_string_equal(text, line);
    free(text);
}
#define EXPECT(message, json, line) expect((message), sizeof(message) - 1, (json), (line))

static void tells_an_event_in_words_and_as_json(void **state)
{
    (void)state;
    EXPECT(
        "1737021600000000 0 market:trade market:1,user:a\n{\"type\":1.50}", false,
        "1737021600000000 2025-01-16T10:00:00.000Z market:trade market:1,user:a {\"type\":1.50}\n");
    EXPECT(
        "1737021600000000 0 market:trade market:1,user:a\n{\"type\":1.50}", true,
        "{\"id\":1737021600000000,\"time\":\"2025-01-16T10:00:00.000Z\",\"event\":\"market:trade\","
        "\"rooms\":[\"market:1\",\"user:a\"],\"payload\":{\"type\":1.50}}\n");
}

static void one_without_id_came_when_it_came(void **state)
{
    (void)state;
    EXPECT("0 0 e r\n{}", false, "0 1970-01-01T00:00:05.000Z e r {}\n");
}

static void stays_on_one_line_whatever_comes(void **state)
{
    (void)state;
    EXPECT("0 0 e r\n{\n \"a\":\r\n1}", false, "0 1970-01-01T00:00:05.000Z e r {  \"a\":  1}\n");
    EXPECT("0 0 e r\nno\njson\033[2J", false,
           "0 1970-01-01T00:00:05.000Z e r \"no\\njson\\u001b[2J\"\n");
    EXPECT("0 0 e r\n\xff\xfe", true,
           "{\"id\":0,\"time\":\"1970-01-01T00:00:05.000Z\",\"event\":\"e\",\"rooms\":[\"r\"],"
           "\"payload\":\"(2 bytes that are not UTF-8)\"}\n");
    EXPECT(
        "0 0 e\"\\ r\n1", true,
        "{\"id\":0,\"time\":\"1970-01-01T00:00:05.000Z\",\"event\":\"e\\\"\\\\\",\"rooms\":[\"r\"],"
        "\"payload\":1}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_an_event_in_words_and_as_json),
        cmocka_unit_test(one_without_id_came_when_it_came),
        cmocka_unit_test(stays_on_one_line_whatever_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
