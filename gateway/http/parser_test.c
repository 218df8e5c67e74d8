#include "http/parser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX_HEAD = 4096, MAX_HEADERS = 16 };

static struct http_header headers[MAX_HEADERS];

/* A copy whose last byte is the last of a page behind which nothing may be read. */
static struct str at_page_end(struct str text)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (text.len / page + 1) * page;
    char *map = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(map, MAP_FAILED);
    assert_int_equal(mprotect(map + room, page, PROT_NONE), 0);
    memcpy(map + room - text.len, text.ptr, text.len);
    return (struct str){map + room - text.len, text.len};
}

static void drop_page(struct str text)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (text.len / page + 1) * page;
    munmap((char *)text.ptr + text.len - room, room + page);
}

/* Finds and parses the head in `text`; the status it is refused with, 0 where it is not. */
static unsigned parse(struct str text, struct http_head *head)
{
    size_t scanned = 0, size = 0;
    unsigned status = 0;
    enum err err = http_head_find(text, MAX_HEAD, &scanned, &size);
    assert_int_not_equal(err, ERR_AGAIN);
    if (err) {
        return err == ERR_LIMIT ? 431 : 400;
    }
    assert_int_equal(size, text.len);
    err = http_head_parse(text, headers, MAX_HEADERS, head, &status);
    assert_true(!err == !status);
    return status;
}

static unsigned status_of(const char *text)
{
    struct http_head head = {0};
    struct str copy = at_page_end(str_from(text));
    unsigned status = parse(copy, &head);
    drop_page(copy);
    return status;
}

static void assert_str(struct str got, const char *expected)
{
    assert_int_equal(got.len, strlen(expected));
    assert_memory_equal(got.ptr, expected, got.len);
}

static void a_head_is_taken_apart(void **state)
{
    (void)state;
    struct http_head head;
    assert_int_equal(parse(STR("POST /socket.io/?EIO=4&sid=&x HTTP/1.1\r\n"
                               "Host: a.example:80\r\nconnection: Upgrade, Keep-Alive\r\n"
                               "CONTENT-LENGTH: 12\r\nX-Empty:\r\nX-Blanks: \t a b \t \r\n\r\n"),
                           &head),
                     0);
    const struct http_request *request = &head.request;
    assert_int_equal(request->method, HTTP_POST);
    assert_int_equal(request->minor_version, 1);
    assert_str(request->path, "/socket.io/");
    assert_str(request->query, "EIO=4&sid=&x");
    assert_int_equal(request->header_count, 5);
    assert_int_equal(head.content_length, 12);
    assert_true(head.keep_alive);
    assert_false(head.chunked);
    assert_false(head.expects_continue);
    assert_str(http_request_header(request, STR("HOST")), "a.example:80");
    assert_str(http_request_header(request, STR("x-empty")), "");
    assert_str(http_request_header(request, STR("x-blanks")), "a b");
    assert_null(http_request_header(request, STR("Missing")).ptr);
    assert_true(http_request_has_token(request, STR("Connection"), STR("upgrade")));
    assert_false(http_request_has_token(request, STR("Connection"), STR("Keep")));
    assert_str(http_request_param(request, STR("EIO")), "4");
    assert_str(http_request_param(request, STR("sid")), "");
    assert_non_null(http_request_param(request, STR("sid")).ptr);
    assert_non_null(http_request_param(request, STR("x")).ptr);
    assert_null(http_request_param(request, STR("EI")).ptr);
    assert_null(http_request_param(request, STR("")).ptr);
}

static void assert_path(const char *text, const char *path, const char *query)
{
    struct http_head head;
    assert_int_equal(parse(str_from(text), &head), 0);
    assert_str(head.request.path, path);
    assert_str(head.request.query, query);
}

static void targets_come_in_several_forms(void **state)
{
    (void)state;
    assert_path("GET /a?b?c HTTP/1.0\r\n\r\n", "/a", "b?c");
    assert_path("GET http://x.example:80/a?b HTTP/1.0\r\n\r\n", "/a", "b");
    assert_path("GET HTTPS://x.example?b HTTP/1.0\r\n\r\n", "/", "b");
    assert_path("GET http://x.example HTTP/1.0\r\n\r\n", "/", "");
    assert_path("OPTIONS * HTTP/1.0\r\n\r\n", "*", "");
    assert_path("\r\nGET / HTTP/1.0\r\n\r\n", "/", "");
}

static void methods_have_names(void **state)
{
    (void)state;
    static const char *const names[] = {"GET", "POST",   "OPTIONS", "HEAD",
                                        "PUT", "DELETE", "PATCH",   "get"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char text[64];
        struct http_head head;
        strcpy(text, names[i]);
        strcat(text, " / HTTP/1.0\r\n\r\n");
        assert_int_equal(parse(str_from(text), &head), 0);
        assert_int_equal(head.request.method, i);
    }
}

static void request_lines_are_strict(void **state)
{
    (void)state;
    assert_int_equal(status_of(" GET / HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
    assert_int_equal(status_of("GET  / HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
    assert_int_equal(status_of("GET / HTTP/1.1 \r\nHost: x\r\n\r\n"), 400);
    assert_int_equal(status_of("GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
    assert_int_equal(status_of("GET /\r\nHost: x\r\n\r\n"), 400);
    assert_int_equal(status_of("GET\r\n\r\n"), 400);
    assert_int_equal(status_of("G(T / HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
    assert_int_equal(status_of("GET a HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
    assert_int_equal(status_of("GET * HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
    assert_int_equal(status_of("GET /#a HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
    assert_int_equal(status_of("GET /\x80 HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
    assert_int_equal(status_of("GET http:///a HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
    assert_int_equal(status_of("CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n"), 501);
    assert_int_equal(status_of("GET / http/1.1\r\nHost: x\r\n\r\n"), 400);
    assert_int_equal(status_of("GET / HTTP/1.10\r\nHost: x\r\n\r\n"), 400);
    assert_int_equal(status_of("GET / HTTP/1,1\r\nHost: x\r\n\r\n"), 400);
    assert_int_equal(status_of("GET / HTTP/2.0\r\nHost: x\r\n\r\n"), 505);
    assert_int_equal(status_of("GET / HTTP/0.9\r\nHost: x\r\n\r\n"), 505);
    assert_int_equal(status_of("GET / HTTP/1.7\r\nHost: x\r\n\r\n"), 0);
    assert_int_equal(status_of("\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
}

#define WITH(line) "POST / HTTP/1.1\r\nHost: x\r\n" line "\r\n\r\n"

static void header_lines_are_strict(void **state)
{
    (void)state;
    assert_int_equal(status_of(WITH("A: b")), 0);
    assert_int_equal(status_of(WITH("A : b")), 400);
    assert_int_equal(status_of(WITH(" A: b")), 400);
    assert_int_equal(status_of(WITH("A: b\r\n folded")), 400);
    assert_int_equal(status_of(WITH("A: b\r\n\tfolded")), 400);
    assert_int_equal(status_of(WITH("A: b\rC: d")), 400);
    assert_int_equal(status_of(WITH("A: b\nC: d")), 400);
    assert_int_equal(status_of(WITH(": b")), 400);
    assert_int_equal(status_of(WITH("no colon")), 400);
    assert_int_equal(status_of(WITH("A: b\x01")), 400);
    assert_int_equal(status_of(WITH("A: b\x7f")), 400);
    assert_int_equal(status_of(WITH("A: \x80\xff b\tc")), 0);
    struct http_head head;
    assert_int_equal(parse(STR("GET / HTTP/1.0\r\nA: b\0c\r\n\r\n"), &head), 400);
    assert_int_equal(parse(STR("GET / HTTP/1.0\r\nA\0: b\r\n\r\n"), &head), 400);
    assert_int_equal(parse(STR("GET /\0 HTTP/1.0\r\n\r\n"), &head), 400);
}

static void there_is_exactly_one_host(void **state)
{
    (void)state;
    assert_int_equal(status_of("GET / HTTP/1.1\r\n\r\n"), 400);
    assert_int_equal(status_of("GET / HTTP/1.0\r\n\r\n"), 0);
    assert_int_equal(status_of("GET / HTTP/1.0\r\nHost: a\r\nhost: a\r\n\r\n"), 400);
    assert_int_equal(status_of("GET / HTTP/1.1\r\nHost:\r\n\r\n"), 0);
    assert_int_equal(status_of("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"), 0);
    assert_int_equal(status_of("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 400);
    assert_int_equal(status_of("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400);
    assert_int_equal(status_of("GET / HTTP/1.1\r\nHost: u@b\r\n\r\n"), 400);
}

static void the_length_of_a_body_has_one_reading(void **state)
{
    (void)state;
    assert_int_equal(status_of(WITH("Content-Length: 0")), 0);
    assert_int_equal(status_of(WITH("Content-Length:")), 400);
    assert_int_equal(status_of(WITH("Content-Length: +1")), 400);
    assert_int_equal(status_of(WITH("Content-Length: -1")), 400);
    assert_int_equal(status_of(WITH("Content-Length: 0x1")), 400);
    assert_int_equal(status_of(WITH("Content-Length: 1, 1")), 400);
    assert_int_equal(status_of(WITH("Content-Length: 99999999999999999999")), 400);
    assert_int_equal(status_of(WITH("Content-Length: 1\r\nContent-Length: 1")), 400);
    assert_int_equal(status_of(WITH("Content-Length: 1\r\nTransfer-Encoding: chunked")), 400);
    assert_int_equal(status_of(WITH("Transfer-Encoding: Chunked")), 0);
    assert_int_equal(status_of(WITH("Transfer-Encoding: chunked, chunked")), 501);
    assert_int_equal(status_of(WITH("Transfer-Encoding: gzip, chunked")), 501);
    assert_int_equal(status_of(WITH("Transfer-Encoding: chunked\r\nTransfer-Encoding: x")), 501);
    assert_int_equal(status_of(WITH("Transfer-Encoding:")), 501);
    assert_int_equal(status_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}

static void only_one_expectation_is_known(void **state)
{
    (void)state;
    struct http_head head;
    assert_int_equal(parse(STR(WITH("Expect: 100-Continue")), &head), 0);
    assert_true(head.expects_continue);
    assert_int_equal(status_of(WITH("Expect: tea")), 417);
}

static void too_much_is_431(void **state)
{
    (void)state;
    static char text[MAX_HEAD + 1];
    strcpy(text, "GET / HTTP/1.0\r\n");
    for (int i = 0; i < MAX_HEADERS; i++) {
        strcat(text, "A: b\r\n");
    }
    strcat(text, "\r\n");
    assert_int_equal(status_of(text), 0);
    text[strlen(text) - 2] = '\0';
    strcat(text, "A: b\r\n\r\n");
    assert_int_equal(status_of(text), 431);
    memset(text, 'a', MAX_HEAD);
    assert_int_equal(status_of(text), 431);
    size_t scanned = 0, size;
    assert_int_equal(http_head_find((struct str){text, MAX_HEAD - 1}, MAX_HEAD, &scanned, &size),
                     ERR_AGAIN);
}

static void a_head_is_found_however_it_comes(void **state)
{
    (void)state;
    struct str text = STR("\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\nnext");
    size_t scanned = 0, size = 0, head = text.len - 4;
    for (size_t len = 0; len < head; len++) {
        struct str copy = at_page_end((struct str){text.ptr, len});
        assert_int_equal(http_head_find(copy, MAX_HEAD, &scanned, &size), ERR_AGAIN);
        assert_int_equal(scanned, len);
        drop_page(copy);
    }
    assert_int_equal(http_head_find(text, MAX_HEAD, &scanned, &size), OK);
    assert_int_equal(size, head);
}

static void the_origin_of_a_bad_head_is_found(void **state)
{
    (void)state;
    assert_str(http_head_origin(STR("BAD\r\norigin:  https://a \r\nX: y")), "https://a");
    assert_str(http_head_origin(STR("GET / HTTP/1.1\nOrigin: b\nbad")), "b");
    assert_null(http_head_origin(STR("GET / HTTP/1.1\r\nOrigin: https://cut.of")).ptr);
    assert_null(http_head_origin(STR("X-Origin: a\r\nOrigin : b\r\n")).ptr);
    assert_null(http_head_origin(STR("")).ptr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_taken_apart),
        cmocka_unit_test(targets_come_in_several_forms),
        cmocka_unit_test(methods_have_names),
        cmocka_unit_test(request_lines_are_strict),
        cmocka_unit_test(header_lines_are_strict),
        cmocka_unit_test(there_is_exactly_one_host),
        cmocka_unit_test(the_length_of_a_body_has_one_reading),
        cmocka_unit_test(only_one_expectation_is_known),
        cmocka_unit_test(too_much_is_431),
        cmocka_unit_test(a_head_is_found_however_it_comes),
        cmocka_unit_test(the_origin_of_a_bad_head_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
