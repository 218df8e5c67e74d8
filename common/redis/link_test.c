#include "redis/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_peer.h"
#include "util/clock.h"

static struct redis_server server; /* shared by the tests that leave it as it was */

static int start_server(void **state)
{
    (void)state;
    redis_server_start(&server, NULL, false);
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    redis_server_stop(&server);
    return 0;
}

static void open_up(struct redis_peer *peer, const struct redis_link_options *options)
{
    redis_peer_open(peer, options);
    PUMP_UNTIL(peer->loop, redis_link_state(peer->link) == REDIS_LINK_UP);
}

static void test_up_after_connecting(void **state)
{
    (void)state;
    struct redis_peer peer;
    struct redis_link_options options = redis_peer_options(&server);
    redis_peer_open(&peer, &options);
    assert_int_equal(redis_link_state(peer.link), REDIS_LINK_DOWN);
    assert_int_equal(redis_peer_tell(&peer, "PING"), ERR_CLOSED);
    PUMP_UNTIL(peer.loop, peer.ups == 1);
    assert_int_equal(redis_link_state(peer.link), REDIS_LINK_UP);
    redis_peer_ask(&peer, "CLIENT GETNAME");
    assert_string_equal(peer.reply, "test");
    redis_peer_close(&peer);
}

/* Longer than the reply timeout, with a PING due meanwhile: nothing is lost, nothing is overdue. */
static void test_a_paused_link_reads_nothing_and_stays_up(void **state)
{
    (void)state;
    struct redis_peer peer, publisher;
    struct redis_link_options options = redis_peer_options(&server);
    open_up(&publisher, &options);
    options.reply_timeout_ms = 200;
    open_up(&peer, &options);
    assert_int_equal(redis_peer_tell(&peer, "SUBSCRIBE news"), OK);
    PUMP_UNTIL(peer.loop, peer.pushes == 1);
    redis_link_pause(peer.link);
    redis_link_pause(peer.link);
    redis_peer_ask(&publisher, "PUBLISH news one");
    assert_string_equal(publisher.reply, "1");
    uint64_t until = clock_monotonic_ms() + 500;
    PUMP_UNTIL(peer.loop, clock_monotonic_ms() > until);
    assert_int_equal(peer.pushes, 1);
    assert_int_equal(peer.downs, 0);
    redis_link_resume(peer.link);
    redis_link_resume(peer.link);
    PUMP_UNTIL(peer.loop, peer.pushes == 2);
    assert_string_equal(peer.push, "message news one");
    until = clock_monotonic_ms() + 500; /* PINGs go on */
    PUMP_UNTIL(peer.loop, clock_monotonic_ms() > until);
    assert_int_equal(peer.downs, 0);
    redis_peer_close(&peer);
    redis_peer_close(&publisher);
}

/* One that was lost while it was paused: the new connection reads from the beginning. */
static void test_a_pause_ends_with_its_connection(void **state)
{
    (void)state;
    struct redis_peer peer, killer;
    struct redis_link_options options = redis_peer_options(&server);
    open_up(&killer, &options);
    open_up(&peer, &options);
    redis_link_pause(peer.link);
    redis_peer_ask(&killer, "CLIENT KILL TYPE normal SKIPME yes");
    assert_int_equal(redis_peer_tell(&peer, "PING"), OK);
    uint64_t until = clock_monotonic_ms() + 50;
    PUMP_UNTIL(peer.loop, clock_monotonic_ms() > until);
    if (peer.downs == 0) { /* the reset was not noticed in writing: a second write meets it */
        assert_int_equal(redis_peer_tell(&peer, "PING"), OK);
    }
    PUMP_UNTIL(peer.loop, peer.ups == 2);
    redis_peer_ask(&peer, "PING");
    assert_string_equal(peer.reply, "PONG");
    redis_link_resume(peer.link);
    redis_peer_close(&peer);
    redis_peer_close(&killer);
}

static void test_host_names_are_looked_up(void **state)
{
    (void)state;
    struct redis_peer peer;
    struct redis_link_options options = redis_peer_options(&server);
    options.host = "localhost"; /* ::1 first on many machines, where this server does not listen */
    open_up(&peer, &options);
    redis_peer_ask(&peer, "PING");
    assert_string_equal(peer.reply, "PONG");
    redis_peer_close(&peer);
}

static void test_unknown_name_is_down_in_words(void **state)
{
    (void)state;
    struct redis_peer peer;
    struct redis_link_options options = redis_peer_options(&server);
    options.host = "no-such-host.invalid";
    options.reconnect = false;
    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, peer.downs == 1);
    assert_non_null(strstr(peer.why, "connect to no-such-host.invalid:"));
    redis_peer_close(&peer);
}

static void test_freed_while_looking_up(void **state)
{
    (void)state;
    struct redis_peer peer;
    struct redis_link_options options = redis_peer_options(&server);
    options.host = "no-such-host.invalid";
    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, redis_link_state(peer.link) == REDIS_LINK_CONNECTING);
    redis_peer_close(&peer);
}

static void test_refused_connection_is_down_in_words(void **state)
{
    (void)state;
    struct redis_peer peer;
    struct redis_link_options options = redis_peer_options(&server);
    options.port = 1;
    options.reconnect = false;
    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, peer.downs == 1);
    assert_string_equal(peer.why, "connect to 127.0.0.1:1: Connection refused");
    assert_int_equal(redis_link_state(peer.link), REDIS_LINK_DOWN);
    redis_peer_close(&peer);
}

static void test_select(void **state)
{
    (void)state;
    struct redis_peer peer;
    struct redis_link_options options = redis_peer_options(&server);
    options.db = 3;
    open_up(&peer, &options);
    redis_peer_ask(&peer, "SET where three");
    redis_peer_ask(&peer, "SELECT 0");
    redis_peer_ask(&peer, "EXISTS where");
    assert_string_equal(peer.reply, "0");
    redis_peer_ask(&peer, "SELECT 3");
    redis_peer_ask(&peer, "GET where");
    assert_string_equal(peer.reply, "three");
    redis_peer_close(&peer);
}

static void test_select_refused(void **state)
{
    (void)state;
    struct redis_peer peer;
    struct redis_link_options options = redis_peer_options(&server);
    options.db = 4711;
    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, peer.downs == 2); /* it goes on trying */
    assert_string_equal(peer.why, "SELECT refused: ERR DB index is out of range");
    assert_int_equal(peer.last_err, ERR_DENIED);
    assert_int_equal(peer.ups, 0);
    redis_peer_close(&peer);
}

struct counting {
    unsigned next, wrong;
};

static void on_number(void *context, enum err err, const struct redisReply *reply)
{
    struct counting *counting = context;
    counting->wrong += err || reply->type != REDIS_REPLY_INTEGER ||
                       reply->integer != (long long)counting->next + 1;
    counting->next++;
}

static void test_answers_come_in_the_order_of_commands(void **state)
{
    (void)state;
    struct redis_peer peer;
    struct redis_link_options options = redis_peer_options(&server);
    open_up(&peer, &options);
    redis_peer_ask(&peer, "DEL counter");
    struct counting counting = {0};
    struct str incr[] = {STR("INCR"), STR("counter")};
    for (unsigned i = 0; i < 10000; i++) {
        assert_int_equal(redis_link_send(peer.link, incr, 2, on_number, &counting), OK);
    }
    assert_int_equal(redis_link_pending(peer.link), 10000);
    assert_true(redis_link_queued_bytes(peer.link) > 10000);
    PUMP_UNTIL(peer.loop, counting.next == 10000);
    assert_int_equal(counting.wrong, 0);
    assert_int_equal(redis_link_pending(peer.link), 0);
    assert_int_equal(redis_link_queued_bytes(peer.link), 0);
    redis_peer_close(&peer);
}

static void on_echo(void *context, enum err err, const struct redisReply *reply)
{
    struct str *expected = context;
    assert_int_equal(err, OK);
    assert_int_equal(reply->len, expected->len);
    assert_memory_equal(reply->str, expected->ptr, expected->len);
    expected->len = 0;
}

/* Larger than the socket's buffers in both directions. */
static void test_large_binary_values(void **state)
{
    (void)state;
    struct redis_peer peer;
    struct redis_link_options options = redis_peer_options(&server);
    open_up(&peer, &options);
    enum { LEN = 20 * 1024 * 1024 };
    char *bytes = malloc(LEN);
    assert_non_null(bytes);
    for (size_t i = 0; i < LEN; i++) {
        bytes[i] = (char)(i * 31 >> 3);
    }
    struct str expected = {bytes, LEN};
    struct str echo[] = {STR("ECHO"), expected};
    assert_int_equal(redis_link_send(peer.link, echo, 2, on_echo, &expected), OK);
    PUMP_UNTIL(peer.loop, expected.len == 0);
    free(bytes);
    redis_peer_close(&peer);
}

static void test_too_much_waiting_is_a_limit(void **state)
{
    (void)state;
    struct redis_peer peer;
    struct redis_link_options options = redis_peer_options(&server);
    open_up(&peer, &options);
    enum err err = OK;
    unsigned sent = 0;
    while (!(err = redis_peer_tell(&peer, "PING"))) {
        sent++;
    }
    assert_int_equal(err, ERR_LIMIT);
    PUMP_UNTIL(peer.loop, peer.answers == sent);
    redis_peer_close(&peer);
}

static void test_error_replies_are_answers(void **state)
{
    (void)state;
    struct redis_peer peer;
    struct redis_link_options options = redis_peer_options(&server);
    open_up(&peer, &options);
    redis_peer_ask(&peer, "NOSUCHCOMMAND");
    assert_int_equal(peer.errors, 1);
    assert_non_null(strstr(peer.reply, "ERR unknown command"));
    assert_int_equal(peer.downs, 0);
    redis_peer_close(&peer);
}

static void test_subscription(void **state)
{
    (void)state;
    struct redis_peer subscriber, publisher;
    struct redis_link_options options = redis_peer_options(&server);
    open_up(&subscriber, &options);
    open_up(&publisher, &options);
    assert_int_equal(redis_peer_tell(&subscriber, "SUBSCRIBE a b"), OK);
    PUMP_UNTIL(subscriber.loop, subscriber.pushes == 2);
    assert_string_equal(subscriber.push, "subscribe b 2");
    redis_peer_ask(&publisher, "PUBLISH a hello");
    assert_string_equal(publisher.reply, "1");
    PUMP_UNTIL(subscriber.loop, subscriber.pushes == 3);
    assert_string_equal(subscriber.push, "message a hello");
    redis_peer_ask(&subscriber, "PING");
    assert_string_equal(subscriber.reply, "pong ");
    assert_int_equal(redis_peer_tell(&subscriber, "UNSUBSCRIBE a b"), OK);
    PUMP_UNTIL(subscriber.loop, subscriber.pushes == 5);
    assert_string_equal(subscriber.push, "unsubscribe b 0");
    redis_peer_close(&subscriber);
    redis_peer_close(&publisher);
}

/* Redis' answer to a PING of the link's own: an idle connection is neither quiet nor cut. */
static void test_idle_subscription_stays_up(void **state)
{
    (void)state;
    struct redis_peer peer;
    struct redis_link_options options = redis_peer_options(&server);
    options.reply_timeout_ms = 120;
    open_up(&peer, &options);
    assert_int_equal(redis_peer_tell(&peer, "SUBSCRIBE a"), OK);
    PUMP_UNTIL(peer.loop, peer.pushes == 1);
    uint64_t until = clock_monotonic_ms() + 400;
    PUMP_UNTIL(peer.loop, clock_monotonic_ms() > until);
    assert_int_equal(peer.downs, 0);
    redis_peer_close(&peer);
}

static void run_silent_server(const char *first_command)
{
    struct redis_server own;
    redis_server_start(&own, NULL, false);
    struct redis_peer peer;
    struct redis_link_options options = redis_peer_options(&own);
    options.connect_timeout_ms = 300;
    options.reply_timeout_ms = 300;
    open_up(&peer, &options);
    redis_server_pause(&own);
    assert_int_equal(redis_peer_tell(&peer, first_command), OK);
    PUMP_UNTIL(peer.loop, peer.downs == 1);
    assert_string_equal(peer.why, "no answer from Redis for 300 ms");
    assert_int_equal(peer.last_err, ERR_TIMEOUT);
    PUMP_UNTIL(peer.loop, peer.downs == 2); /* the kernel accepts for it, nobody answers */
    assert_non_null(strstr(peer.why, "timed out"));
    redis_server_resume(&own);
    PUMP_UNTIL(peer.loop, redis_link_state(peer.link) == REDIS_LINK_UP);
    redis_peer_close(&peer);
    redis_server_stop(&own);
}

static void test_stopped_server_is_noticed_by_a_command(void **state)
{
    (void)state;
    run_silent_server("PING");
}

static void test_stopped_server_is_noticed_by_an_idle_subscription(void **state)
{
    (void)state;
    run_silent_server("SUBSCRIBE a");
}

static void test_waiting_commands_are_closed_before_down(void **state)
{
    (void)state;
    struct redis_server own;
    redis_server_start(&own, NULL, false);
    struct redis_peer peer;
    struct redis_link_options options = redis_peer_options(&own);
    open_up(&peer, &options);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(redis_peer_tell(&peer, "BLPOP nothing 0"), OK);
    }
    redis_server_kill(&own);
    PUMP_UNTIL(peer.loop, peer.downs == 1);
    assert_int_equal(peer.closed, 3);
    assert_int_equal(redis_peer_tell(&peer, "PING"), ERR_CLOSED);
    uint64_t epoch = redis_link_epoch(peer.link);
    redis_server_start_again(&own);
    PUMP_UNTIL(peer.loop, peer.ups == 2);
    assert_int_equal(redis_link_epoch(peer.link), epoch + 1);
    redis_peer_ask(&peer, "PING");
    redis_peer_close(&peer);
    redis_server_stop(&own);
}

static void test_password(void **state)
{
    (void)state;
    static const char *const args[] = {"--requirepass", "secret", "--user", "app", "on",
                                       ">word",         "+@all",  "~*",     "&*",  NULL};
    struct redis_server own;
    redis_server_start(&own, args, false);
    struct redis_peer peer;
    struct redis_link_options options = redis_peer_options(&own);
    options.reconnect = false;

    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, peer.downs == 1);
    assert_non_null(strstr(peer.why, "PING refused: NOAUTH"));
    redis_peer_close(&peer);

    options.password = "wrong";
    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, peer.downs == 1);
    assert_non_null(strstr(peer.why, "AUTH refused: WRONGPASS"));
    assert_int_equal(peer.last_err, ERR_DENIED);
    redis_peer_close(&peer);

    options.password = "secret";
    open_up(&peer, &options);
    redis_peer_close(&peer);

    options.user = "app";
    options.password = "word";
    open_up(&peer, &options);
    redis_peer_ask(&peer, "ACL WHOAMI");
    assert_string_equal(peer.reply, "app");
    redis_peer_close(&peer);
    redis_server_stop(&own);
}

static void test_refused_subscription_takes_the_link_down(void **state)
{
    (void)state;
    static const char *const args[] = {"--user", "default",       "on",      "nopass", "+@all",
                                       "~*",     "resetchannels", "&ours:*", NULL};
    struct redis_server own;
    redis_server_start(&own, args, false);
    struct redis_peer peer;
    struct redis_link_options options = redis_peer_options(&own);
    open_up(&peer, &options);
    assert_int_equal(redis_peer_tell(&peer, "SUBSCRIBE ours:a theirs:a"), OK);
    PUMP_UNTIL(peer.loop, peer.downs == 1);
    assert_non_null(strstr(peer.why, "subscription refused: NOPERM"));
    redis_peer_close(&peer);
    redis_server_stop(&own);
}

static void test_replica_is_refused(void **state)
{
    (void)state;
    static const char *const args[] = {"--replicaof", "127.0.0.1", "1", NULL};
    struct redis_server own;
    redis_server_start(&own, args, false);
    struct redis_peer peer;
    struct redis_link_options options = redis_peer_options(&own);
    options.reconnect = false;
    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, peer.downs == 1);
    assert_string_equal(peer.why, "this Redis is no primary, but a slave");
    redis_peer_close(&peer);
    redis_server_stop(&own);
}

/* --- Ends from inside callbacks --- */

struct suicidal {
    struct redis_link *link;
    unsigned answers, closed, downs;
};

static void free_on_answer(void *context, enum err err, const struct redisReply *reply)
{
    struct suicidal *suicidal = context;
    (void)reply;
    suicidal->answers += err == OK;
    suicidal->closed += err == ERR_CLOSED;
    redis_link_free(suicidal->link);
}

static void send_two(void *owner)
{
    struct suicidal *suicidal = owner;
    struct str ping = STR("PING");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(redis_link_send(suicidal->link, &ping, 1, free_on_answer, suicidal), OK);
    }
}

static void free_on_down(void *owner, enum err err, const char *why)
{
    struct suicidal *suicidal = owner;
    (void)err;
    assert_true(strlen(why) > 0);
    suicidal->downs++;
    redis_link_free(suicidal->link);
}

static void test_freed_from_an_answer(void **state)
{
    (void)state;
    static const struct redis_link_ops ops = {send_two, free_on_down, NULL};
    struct redis_link_options options = redis_peer_options(&server);
    struct loop *loop = loop_new();
    struct suicidal suicidal = {0};
    suicidal.link = redis_link_new(loop, &options, &ops, &suicidal);
    PUMP_UNTIL(loop, suicidal.answers == 1);
    assert_int_equal(suicidal.closed, 1);
    assert_int_equal(suicidal.downs, 0);
    loop_free(loop);
}

static void test_freed_from_on_down(void **state)
{
    (void)state;
    static const struct redis_link_ops ops = {send_two, free_on_down, NULL};
    struct redis_link_options options = redis_peer_options(&server);
    options.port = 1;
    struct loop *loop = loop_new();
    struct suicidal suicidal = {0};
    suicidal.link = redis_link_new(loop, &options, &ops, &suicidal);
    PUMP_UNTIL(loop, suicidal.downs == 1);
    loop_free(loop);
}

/* --- Backoff --- */

static void test_retry_now_and_backoff(void **state)
{
    (void)state;
    struct redis_server own;
    redis_server_start(&own, NULL, false);
    struct redis_peer peer;
    struct redis_link_options options = redis_peer_options(&own);
    options.backoff_min_ms = options.backoff_max_ms = 3600 * 1000;
    open_up(&peer, &options);
    redis_server_kill(&own);
    PUMP_UNTIL(peer.loop, peer.downs == 1);
    redis_server_start_again(&own);
    redis_link_retry_now(peer.link);
    PUMP_UNTIL(peer.loop, peer.ups == 2);
    redis_peer_close(&peer);
    redis_server_stop(&own);
}

/* Waits of 20, 40, 80, 80, 80 ms, of which jitter takes no more than half. */
static void test_attempts_are_spaced(void **state)
{
    (void)state;
    struct redis_peer peer;
    struct redis_link_options options = redis_peer_options(&server);
    options.port = 1;
    options.backoff_min_ms = 20;
    options.backoff_max_ms = 80;
    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, peer.downs == 1);
    uint64_t start = clock_monotonic_ms();
    PUMP_UNTIL(peer.loop, peer.downs == 6);
    assert_true(clock_monotonic_ms() - start >= 145);
    redis_peer_close(&peer);
}

/* --- TLS --- */

static void test_tls(void **state)
{
    (void)state;
    struct redis_server own;
    redis_server_start(&own, NULL, true);
    char ca[128], other[128], cert[128], key[128];
    snprintf(ca, sizeof ca, "%s", redis_server_file(&own, "ca.crt"));
    snprintf(other, sizeof other, "%s", redis_server_file(&own, "other-ca.crt"));
    snprintf(cert, sizeof cert, "%s", redis_server_file(&own, "client.crt"));
    snprintf(key, sizeof key, "%s", redis_server_file(&own, "client.key"));
    const struct {
        const char *host, *ca, *cert, *name, *why;
    } cases[] = {
        {"127.0.0.1", ca, cert, NULL, NULL},
        {"localhost", ca, cert, NULL, NULL},
        {"127.0.0.1", ca, cert, "localhost", NULL},
        {"127.0.0.1", ca, cert, "elsewhere.example", "TLS: hostname mismatch"},
        {"127.0.0.1", other, cert, NULL, "TLS: self-signed certificate in certificate chain"},
        {"127.0.0.1", "/nonexistent", cert, NULL, "TLS: cannot use the CA file /nonexistent: "},
        {"127.0.0.1", ca, NULL, NULL, "certificate required"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct redis_peer peer;
        struct redis_link_options options = redis_peer_options(&own);
        options.reconnect = false;
        options.tls = true;
        options.host = cases[i].host;
        options.tls_ca = cases[i].ca;
        options.tls_cert = cases[i].cert;
        options.tls_key = cases[i].cert ? key : NULL;
        options.tls_server_name = cases[i].name;
        redis_peer_open(&peer, &options);
        PUMP_UNTIL(peer.loop, peer.ups + peer.downs == 1);
        if (cases[i].why) {
            assert_int_equal(peer.ups, 0);
            if (!strstr(peer.why, cases[i].why)) {
                fail_msg("case %zu: \"%s\" instead of \"%s\"", i, peer.why, cases[i].why);
            }
        } else {
            if (peer.downs) {
                fail_msg("case %zu: %s", i, peer.why);
            }
            redis_peer_ask(&peer, "PING");
            assert_string_equal(peer.reply, "PONG");
        }
        redis_peer_close(&peer);
    }
    redis_server_stop(&own);
}

static void test_tls_moves_large_values(void **state)
{
    (void)state;
    struct redis_server own;
    redis_server_start(&own, NULL, true);
    char ca[128], cert[128], key[128];
    snprintf(ca, sizeof ca, "%s", redis_server_file(&own, "ca.crt"));
    snprintf(cert, sizeof cert, "%s", redis_server_file(&own, "client.crt"));
    snprintf(key, sizeof key, "%s", redis_server_file(&own, "client.key"));
    struct redis_peer peer;
    struct redis_link_options options = redis_peer_options(&own);
    options.tls = true;
    options.tls_ca = ca;
    options.tls_cert = cert;
    options.tls_key = key;
    open_up(&peer, &options);
    enum { LEN = 8 * 1024 * 1024 };
    char *bytes = malloc(LEN);
    assert_non_null(bytes);
    memset(bytes, 'x', LEN);
    struct str expected = {bytes, LEN};
    struct str echo[] = {STR("ECHO"), expected};
    assert_int_equal(redis_link_send(peer.link, echo, 2, on_echo, &expected), OK);
    PUMP_UNTIL(peer.loop, expected.len == 0);
    redis_server_kill(&own);
    PUMP_UNTIL(peer.loop, peer.downs == 1);
    free(bytes);
    redis_peer_close(&peer);
    redis_server_stop(&own);
}

int main(void)
{
    signal(SIGPIPE, SIG_DFL); /* a link must not raise it */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_up_after_connecting),
        cmocka_unit_test(test_a_paused_link_reads_nothing_and_stays_up),
        cmocka_unit_test(test_a_pause_ends_with_its_connection),
        cmocka_unit_test(test_host_names_are_looked_up),
        cmocka_unit_test(test_unknown_name_is_down_in_words),
        cmocka_unit_test(test_freed_while_looking_up),
        cmocka_unit_test(test_refused_connection_is_down_in_words),
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_select_refused),
        cmocka_unit_test(test_answers_come_in_the_order_of_commands),
        cmocka_unit_test(test_large_binary_values),
        cmocka_unit_test(test_too_much_waiting_is_a_limit),
        cmocka_unit_test(test_error_replies_are_answers),
        cmocka_unit_test(test_subscription),
        cmocka_unit_test(test_idle_subscription_stays_up),
        cmocka_unit_test(test_stopped_server_is_noticed_by_a_command),
        cmocka_unit_test(test_stopped_server_is_noticed_by_an_idle_subscription),
        cmocka_unit_test(test_waiting_commands_are_closed_before_down),
        cmocka_unit_test(test_password),
        cmocka_unit_test(test_refused_subscription_takes_the_link_down),
        cmocka_unit_test(test_replica_is_refused),
        cmocka_unit_test(test_freed_from_an_answer),
        cmocka_unit_test(test_freed_from_on_down),
        cmocka_unit_test(test_retry_now_and_backoff),
        cmocka_unit_test(test_attempts_are_spaced),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_tls_moves_large_values),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
