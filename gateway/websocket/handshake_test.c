#include "websocket/handshake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "failing_alloc.h"

/* The example of RFC 6455 section 1.3; each test spoils one thing. */
enum { UPGRADE, CONNECTION, KEY, VERSION, HEADERS };

struct example {
    struct http_header headers[HEADERS];
    struct http_request request;
};

static struct example *example(void)
{
    static struct example it;
    it = (struct example){
        .headers = {{STR("upgrade"), STR("WebSocket")},
                    {STR("Connection"), STR("keep-alive, Upgrade")},
                    {STR("Sec-WebSocket-Key"), STR("dGhlIHNhbXBsZSBub25jZQ==")},
                    {STR("Sec-WebSocket-Version"), STR("13")}},
        .request = {.method = HTTP_GET, .minor_version = 1, .header_count = HEADERS},
    };
    it.request.headers = it.headers;
    return &it;
}

static void the_rfcs_example_is_accepted(void **state)
{
    (void)state;
    struct example *it = example();
    struct buf out;
    unsigned status = 0;
    buf_init(&out, 0);
    assert_true(ws_handshake_wanted(&it->request));
    assert_int_equal(ws_handshake_accept(&it->request, &out, &status), OK);
    struct str answer = STR("HTTP/1.1 101 Switching Protocols\r\n"
                            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
    assert_int_equal(out.len, answer.len);
    assert_memory_equal(out.data, answer.ptr, answer.len);
    buf_fini(&out);
}

static void check_refused(const struct example *it, unsigned wanted)
{
    struct buf out;
    unsigned status = 0;
    buf_init(&out, 0);
    assert_int_equal(ws_handshake_accept(&it->request, &out, &status), ERR_INVALID);
    assert_int_equal(status, wanted);
    assert_int_equal(out.len, 0);
    buf_fini(&out);
}

static void another_version_is_426(void **state)
{
    (void)state;
    struct example *it = example();
    it->headers[VERSION].value = STR("8");
    check_refused(it, 426);
    it->request.header_count = VERSION; /* none at all */
    check_refused(it, 426);
}

static void a_key_is_sixteen_bytes(void **state)
{
    (void)state;
    const struct str keys[] = {STR(""), STR("dGhlIHNhbXBsZSBub25j"),
                               STR("dGhlIHNhbXBsZSBub25jZQAA"), STR("!GhlIHNhbXBsZSBub25jZQ=="),
                               STR("dGhlIHNhbXBsZSBub25jZQAAAAA=")};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct example *it = example();
        it->headers[KEY].value = keys[i];
        check_refused(it, 400);
    }
}

static void other_requests_are_no_handshake(void **state)
{
    (void)state;
    struct example *it = example();
    it->request.method = HTTP_POST;
    check_refused(it, 400);
    it = example();
    it->request.minor_version = 0;
    check_refused(it, 400);
    it = example();
    it->headers[UPGRADE].value = STR("h2c");
    assert_false(ws_handshake_wanted(&it->request));
    check_refused(it, 400);
    it = example();
    it->headers[CONNECTION].value = STR("keep-alive");
    assert_false(ws_handshake_wanted(&it->request));
}

static void step(void *context)
{
    struct example *it = context;
    struct buf out;
    unsigned status = 0;
    buf_init(&out, 0);
    enum err err = ws_handshake_accept(&it->request, &out, &status);
    assert_true(err == ERR_NOMEM ? out.len == 0 : err == OK);
    buf_fini(&out);
}

static void without_memory_nothing_is_appended(void **state)
{
    (void)state;
    failing_alloc_each(step, example());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rfcs_example_is_accepted),
        cmocka_unit_test(another_version_is_426),
        cmocka_unit_test(a_key_is_sixteen_bytes),
        cmocka_unit_test(other_requests_are_no_handshake),
        cmocka_unit_test(without_memory_nothing_is_appended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
