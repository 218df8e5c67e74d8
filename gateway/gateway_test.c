#include "gateway.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failing_alloc.h"

static struct gateway_settings settings;

static char *load(void)
{
    const char *flags[] = {"gateway",
                           "--port",
                           "0",
                           "--host",
                           "127.0.0.1",
                           "--ops-port",
                           "0",
                           "--ops-host",
                           "127.0.0.1",
                           "--jwt-secret",
                           "a secret of thirty-two bytes, or more"};
    struct buf complaint;
    char *strings = NULL;
    int rest;
    buf_init(&complaint, 0);
    assert_int_equal(config_load(gateway_option_table(), ARRAY_LEN(flags), (char **)flags,
                                 &settings, &rest, &strings, &complaint),
                     OK);
    buf_fini(&complaint);
    return strings;
}

/* Whatever is half open is closed again; nobody runs, so Redis is not even called. */
static void open_and_close(void *context)
{
    struct loop *loop = context;
    struct gateway *gateway = NULL;
    struct buf complaint;
    buf_init(&complaint, 0);
    enum err err = gateway_open(loop, &settings, &gateway, &complaint);
    assert_int_equal(err == OK, gateway != NULL);
    if (gateway) {
        assert_int_not_equal(gateway_port(gateway), 0);
        assert_int_not_equal(gateway_ops_port(gateway), gateway_port(gateway));
    }
    gateway_close(gateway);
    buf_fini(&complaint);
    assert_int_equal(loop_turn(loop, 0), OK);
}

static void opening_survives_any_failing_allocation(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    failing_alloc_each(open_and_close, loop);
    loop_free(loop);
}

/* Which of the two it was must be said. */
static void a_taken_port_is_a_complaint(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    struct gateway *first = NULL, *second = NULL;
    struct buf complaint;
    char port[8];
    buf_init(&complaint, 0);
    assert_int_equal(gateway_open(loop, &settings, &first, &complaint), OK);
    settings.ops_port = gateway_ops_port(first);
    assert_int_equal(gateway_open(loop, &settings, &second, &complaint), ERR_IO);
    assert_null(second);
    snprintf(port, sizeof port, "%u", gateway_ops_port(first));
    assert_non_null(strstr(buf_cstr(&complaint), port));
    settings.ops_port = 0;
    buf_fini(&complaint);
    gateway_close(first);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_survives_any_failing_allocation),
        cmocka_unit_test(a_taken_port_is_a_complaint),
    };
    char *strings = load();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(strings);
    return failed;
}
