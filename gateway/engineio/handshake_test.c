#include "engineio/handshake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engineio/packet.h"
#include "failing_alloc.h"

static struct http_request get(struct str query)
{
    return (struct http_request){
        .method = HTTP_GET, .path = STR("/socket.io/"), .query = query, .minor_version = 1};
}

static struct http_request get_ws(struct str query)
{
    static const struct http_header headers[] = {{STR("Upgrade"), STR("websocket")},
                                                 {STR("Connection"), STR("Upgrade")}};
    struct http_request request = get(query);
    request.headers = headers;
    request.header_count = ARRAY_LEN(headers);
    return request;
}

static enum eio_error check(struct http_request request)
{
    struct eio_query query;
    enum eio_error error = eio_query_read(&request, &query);
    return error == EIO_NO_ERROR ? eio_query_check_handshake(&request, &query, true) : error;
}

static void good_handshakes(void **state)
{
    (void)state;
    assert_int_equal(check(get(STR("EIO=4&transport=polling"))), EIO_NO_ERROR);
    assert_int_equal(check(get(STR("t=x&b64=1&user=7&transport=polling&EIO=4"))), EIO_NO_ERROR);
    assert_int_equal(check(get_ws(STR("EIO=4&transport=websocket"))), EIO_NO_ERROR);
}

static void the_transport_is_one_of_two(void **state)
{
    (void)state;
    const struct str bad[] = {STR(""),
                              STR("EIO=4"),
                              STR("EIO=4&transport="),
                              STR("EIO=4&transport=abc"),
                              STR("EIO=4&transport=__proto__"),
                              STR("EIO=4&transport=pollingx"),
                              STR("EIO=4&transport=WebSocket")};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(check(get(bad[i])), EIO_ERROR_TRANSPORT);
    }
}

static void only_protocol_4_is_spoken(void **state)
{
    (void)state;
    const struct str bad[] = {STR("transport=polling"), STR("EIO=&transport=polling"),
                              STR("EIO=3&transport=polling"), STR("EIO=44&transport=polling"),
                              STR("EIO=abc&transport=polling")};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(check(get(bad[i])), EIO_ERROR_VERSION);
    }
}

static void only_get_opens(void **state)
{
    (void)state;
    for (int method = HTTP_POST; method <= HTTP_OTHER; method++) {
        struct http_request request = get(STR("EIO=4&transport=polling"));
        request.method = (enum http_method)method;
        assert_int_equal(check(request), EIO_ERROR_METHOD);
    }
}

static void websocket_and_upgrade_go_together(void **state)
{
    (void)state;
    assert_int_equal(check(get(STR("EIO=4&transport=websocket"))), EIO_ERROR_REQUEST);
    assert_int_equal(check(get_ws(STR("EIO=4&transport=polling"))), EIO_ERROR_REQUEST);
}

static void jsonp_is_not_served(void **state)
{
    (void)state;
    assert_int_equal(check(get(STR("EIO=4&transport=polling&j=0"))), EIO_ERROR_REQUEST);
    assert_int_equal(check(get(STR("EIO=4&transport=polling&j="))), EIO_ERROR_REQUEST);
}

static void an_origin_has_no_control_bytes(void **state)
{
    (void)state;
    const struct http_header headers[] = {{STR("origin"), STR("http://a\x01")}};
    struct http_request request = get(STR("EIO=4&transport=polling"));
    request.headers = headers;
    request.header_count = 1;
    assert_int_equal(check(request), EIO_ERROR_REQUEST);
}

/* Each spoils everything behind it too: the first in the protocol's order is told. */
static void checks_come_in_order(void **state)
{
    (void)state;
    struct eio_query query = {.websocket = true};
    struct http_request request = get(STR("EIO=3&transport=abc&j=1"));
    request.method = HTTP_PUT;
    assert_int_equal(check(request), EIO_ERROR_TRANSPORT);
    request.query = STR("EIO=3&transport=websocket&j=1");
    assert_int_equal(check(request), EIO_ERROR_REQUEST);
    request.query = STR("EIO=3&transport=websocket");
    assert_int_equal(eio_query_check_handshake(&request, &query, false), EIO_ERROR_METHOD);
    request.method = HTTP_GET;
    assert_int_equal(eio_query_check_handshake(&request, &query, false), EIO_ERROR_REQUEST);
    query.upgrade = true;
    assert_int_equal(eio_query_check_handshake(&request, &query, false), EIO_ERROR_FORBIDDEN);
    assert_int_equal(eio_query_check_handshake(&request, &query, true), EIO_ERROR_VERSION);
}

static void errors_have_the_protocols_bodies(void **state)
{
    (void)state;
    assert_int_equal(eio_error_status(EIO_ERROR_FORBIDDEN), 403);
    assert_int_equal(eio_error_status(EIO_ERROR_SID), 400);
    assert_true(str_eq(eio_error_body(EIO_ERROR_TRANSPORT),
                       STR("{\"code\":0,\"message\":\"Transport unknown\"}")));
    assert_true(str_eq(eio_error_body(EIO_ERROR_SID),
                       STR("{\"code\":1,\"message\":\"Session ID unknown\"}")));
    assert_true(str_eq(eio_error_body(EIO_ERROR_METHOD),
                       STR("{\"code\":2,\"message\":\"Bad handshake method\"}")));
    assert_true(
        str_eq(eio_error_body(EIO_ERROR_REQUEST), STR("{\"code\":3,\"message\":\"Bad request\"}")));
    assert_true(
        str_eq(eio_error_body(EIO_ERROR_FORBIDDEN), STR("{\"code\":4,\"message\":\"Forbidden\"}")));
    assert_true(str_eq(eio_error_body(EIO_ERROR_VERSION),
                       STR("{\"code\":5,\"message\":\"Unsupported protocol version\"}")));
}

static const struct eio_handshake polling = {.sid = {"abc-_", 5},
                                             .upgrades = true,
                                             .ping_interval_ms = 25000,
                                             .ping_timeout_ms = 60000,
                                             .max_payload = 1000000};

static void check_open_packet(const struct eio_handshake *handshake, struct str wanted)
{
    struct rcbuf *packet = eio_encode_handshake(handshake);
    bool binary = true;
    assert_non_null(packet);
    assert_true(str_eq(eio_encoded_payload(packet, &binary), wanted));
    assert_false(binary);
    rcbuf_unref(&packet);
}

static void the_open_packet_tells_the_settings(void **state)
{
    (void)state;
    check_open_packet(&polling,
                      STR("0{\"sid\":\"abc-_\",\"upgrades\":[\"websocket\"],\"pingInterval\":25000,"
                          "\"pingTimeout\":60000,\"maxPayload\":1000000}"));
    struct eio_handshake websocket = polling;
    websocket.upgrades = false;
    check_open_packet(&websocket, STR("0{\"sid\":\"abc-_\",\"upgrades\":[],\"pingInterval\":25000,"
                                      "\"pingTimeout\":60000,\"maxPayload\":1000000}"));
}

static void step(void *context)
{
    (void)context;
    struct rcbuf *packet = eio_encode_handshake(&polling);
    rcbuf_unref(&packet);
}

static void without_memory_there_is_no_packet(void **state)
{
    (void)state;
    failing_alloc_each(step, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_handshakes),
        cmocka_unit_test(the_transport_is_one_of_two),
        cmocka_unit_test(only_protocol_4_is_spoken),
        cmocka_unit_test(only_get_opens),
        cmocka_unit_test(websocket_and_upgrade_go_together),
        cmocka_unit_test(jsonp_is_not_served),
        cmocka_unit_test(an_origin_has_no_control_bytes),
        cmocka_unit_test(checks_come_in_order),
        cmocka_unit_test(errors_have_the_protocols_bodies),
        cmocka_unit_test(the_open_packet_tells_the_settings),
        cmocka_unit_test(without_memory_there_is_no_packet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
