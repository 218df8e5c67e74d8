#include "http/cors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct http_cors policy(const char *origins)
{
    return (struct http_cors){str_from(origins)};
}

static void an_origin_is_allowed_as_a_whole(void **state)
{
    (void)state;
    struct http_cors cors = policy("https://a.example, http://localhost:3000/ ,https://b.example");
    assert_true(http_cors_allows(&cors, STR("https://a.example")));
    assert_true(http_cors_allows(&cors, STR("HTTPS://A.example")));
    assert_true(http_cors_allows(&cors, STR("http://localhost:3000")));
    assert_false(http_cors_allows(&cors, STR("http://localhost")));
    assert_false(http_cors_allows(&cors, STR("https://a.example.evil.example")));
    assert_false(http_cors_allows(&cors, STR("http://a.example")));
    assert_false(http_cors_allows(&cors, STR("a.example")));
    assert_false(http_cors_allows(&cors, STR("null")));
    assert_false(http_cors_allows(&cors, STR("")));
    assert_false(http_cors_allows(&cors, STR("*")));
}

static void a_star_allows_what_can_be_echoed(void **state)
{
    (void)state;
    struct http_cors cors = policy("*");
    static char longer[600];
    assert_true(http_cors_allows(&cors, STR("https://any.example")));
    assert_false(http_cors_allows(&cors, STR("a\r\nSet-Cookie: x")));
    assert_false(http_cors_allows(&cors, STR("a\0b")));
    assert_false(http_cors_allows(&cors, STR("https://\xc3\xa9")));
    assert_false(http_cors_allows(&cors, STR("a b")));
    assert_false(http_cors_allows(&cors, (struct str){memset(longer, 'x', 600), 600}));
}

static void without_a_policy_nothing_is_said(void **state)
{
    (void)state;
    struct http_cors cors = {{NULL, 0}};
    struct buf out = {0};
    assert_false(http_cors_allows(&cors, STR("https://a.example")));
    assert_int_equal(http_cors_headers(&cors, STR("https://a.example"), &out), OK);
    assert_int_equal(out.len, 0);
}

static void an_empty_list_allows_none(void **state)
{
    (void)state;
    struct http_cors cors = policy("");
    assert_false(http_cors_allows(&cors, STR("https://a.example")));
}

static void requested_headers_are_granted_if_they_are_printable(void **state)
{
    (void)state;
    struct http_header header = {STR("access-control-request-headers"), STR("x-a, x-b")};
    struct http_request request = {.headers = &header, .header_count = 1};
    struct buf out = {0};
    assert_int_equal(http_cors_preflight(&request, &out), OK);
    assert_non_null(strstr(buf_cstr(&out), "content-type, authorization, x-a, x-b\r\n"));
    buf_clear(&out);
    header.value = STR("x-\x80");
    assert_int_equal(http_cors_preflight(&request, &out), OK);
    assert_non_null(strstr(buf_cstr(&out), "content-type, authorization\r\n"));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_origin_is_allowed_as_a_whole),
        cmocka_unit_test(a_star_allows_what_can_be_echoed),
        cmocka_unit_test(without_a_policy_nothing_is_said),
        cmocka_unit_test(an_empty_list_allows_none),
        cmocka_unit_test(requested_headers_are_granted_if_they_are_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
