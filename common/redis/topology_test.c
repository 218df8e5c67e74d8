/* A link that finds its primary by Sentinel. */
#include "redis/topology.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failing_alloc.h"
#include "fake_sentinel.h"
#include "redis_peer.h"
#include "util/clock.h"

static struct redis_server primary, other; /* both take events; no test changes them */

static int start_servers(void **state)
{
    (void)state;
    redis_server_start(&primary, NULL, false);
    redis_server_start(&other, NULL, false);
    return 0;
}

static int stop_servers(void **state)
{
    (void)state;
    redis_server_stop(&primary);
    redis_server_stop(&other);
    return 0;
}

static void start(struct fake_sentinel *sentinel, unsigned primary_port)
{
    sentinel->master = "mymaster";
    sentinel->primary_port = primary_port;
    fake_sentinel_start(sentinel);
}

/* Options for these sentinels, in this order; the list lives as long as the test's next call. */
static struct redis_link_options options_for(struct fake_sentinel *const *sentinels, size_t count)
{
    static char list[512];
    struct redis_link_options options = redis_peer_options(&primary);
    options.host = "no-such-host.invalid"; /* not to be used */
    options.port = 1;
    options.sentinels = list;
    options.sentinel_master = "mymaster";
    options.connect_timeout_ms = 3000;
    options.reply_timeout_ms = 400; /* and the first look, which starts the watch, after 100 ms */
    list[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        char one[32];
        snprintf(one, sizeof one, "%s127.0.0.1:%u", i > 0 ? "," : "", sentinels[i]->port);
        strcat(list, one);
    }
    return options;
}

static struct redis_link_options options_for_one(struct fake_sentinel *sentinel)
{
    return options_for(&sentinel, 1);
}

static void expect_server(struct redis_peer *peer, const struct redis_server *server)
{
    char expected[32];
    snprintf(expected, sizeof expected, "port %u", server->port);
    redis_peer_ask(peer, "CONFIG GET port");
    assert_string_equal(peer->reply, expected);
}

static void expect_why(const struct redis_peer *peer, const char *words)
{
    if (!strstr(peer->why, words)) {
        fail_msg("\"%s\" instead of \"%s\"", peer->why, words);
    }
}

static void pump_for(struct redis_peer *peer, uint64_t ms)
{
    uint64_t until = clock_monotonic_ms() + ms;
    PUMP_UNTIL(peer->loop, clock_monotonic_ms() > until);
}

/* --- Locating --- */

static void test_a_sentinel_says_where(void **state)
{
    (void)state;
    struct fake_sentinel sentinel = {0};
    start(&sentinel, primary.port);
    struct redis_peer peer;
    struct redis_link_options options = options_for_one(&sentinel);
    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, redis_link_state(peer.link) == REDIS_LINK_CONNECTING);
    PUMP_UNTIL(peer.loop, peer.ups == 1);
    expect_server(&peer, &primary);
    assert_int_equal(peer.downs, 0);
    assert_int_equal(sentinel.asked, 1);
    redis_peer_close(&peer);
    fake_sentinel_stop(&sentinel);
}

static void test_sentinels_are_asked_until_one_knows(void **state)
{
    (void)state;
    struct fake_sentinel gone = {0}, silent = {.silent = true}, ignorant = {0},
                         locked = {.password = "secret"}, odd = {.answer = "+what\r\n"}, good = {0};
    struct fake_sentinel *all[] = {&gone, &silent, &ignorant, &locked, &odd, &good};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        start(all[i], primary.port);
    }
    ignorant.master = "another";
    fake_sentinel_stop(&gone);
    struct redis_peer peer;
    struct redis_link_options options = options_for(all, ARRAY_LEN(all));
    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, peer.ups == 1);
    assert_int_equal(peer.downs, 0);
    assert_int_equal(ignorant.asked, 1);
    assert_int_equal(good.asked, 1);
    redis_peer_close(&peer);
    for (size_t i = 1; i < ARRAY_LEN(all); i++) {
        fake_sentinel_stop(all[i]);
    }
}

static void expect_each(const struct redis_peer *peer, struct fake_sentinel *const *sentinels,
                        const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[160];
        snprintf(text, sizeof text, words[i], sentinels[i]->port);
        expect_why(peer, text);
    }
}

static void test_when_nobody_knows_each_is_quoted(void **state)
{
    (void)state;
    struct fake_sentinel gone = {0}, silent = {.silent = true}, ignorant = {0},
                         locked = {.password = "secret"}, odd = {.answer = "+what\r\n"};
    struct fake_sentinel *all[] = {&gone, &silent, &ignorant, &locked, &odd};
    static const char *const words[] = {
        "connect to 127.0.0.1:%u: Connection refused;", "127.0.0.1:%u: no answer for 100 ms;",
        "127.0.0.1:%u: it does not know this name;",    "127.0.0.1:%u: PING refused: NOAUTH",
        "127.0.0.1:%u: it answered what is no address",
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        start(all[i], primary.port);
    }
    ignorant.master = "another";
    fake_sentinel_stop(&gone);
    struct redis_peer peer;
    struct redis_link_options options = options_for(all, ARRAY_LEN(all));
    options.connect_timeout_ms = 600;
    options.reconnect = false;
    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, peer.downs == 1);
    assert_int_equal(peer.last_err, ERR_IO);
    expect_why(&peer, "no sentinel told where mymaster is: ");
    expect_each(&peer, all, words, ARRAY_LEN(all));
    redis_peer_close(&peer);
    for (size_t i = 1; i < ARRAY_LEN(all); i++) {
        fake_sentinel_stop(all[i]);
    }
}

static void test_sentinels_have_a_password_of_their_own(void **state)
{
    (void)state;
    struct fake_sentinel sentinel = {.password = "secret"};
    start(&sentinel, primary.port);
    struct redis_peer peer;
    struct redis_link_options options = options_for_one(&sentinel);
    options.sentinel_password = "wrong";
    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, peer.downs == 1);
    expect_why(&peer, "AUTH refused: WRONGPASS");
    redis_peer_close(&peer);
    options.sentinel_password = "secret";
    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, peer.ups == 1);
    redis_peer_close(&peer);
    fake_sentinel_stop(&sentinel);
}

/* REDIS_SENTINELS with the port of a Redis. */
static void test_a_redis_is_no_sentinel(void **state)
{
    (void)state;
    struct fake_sentinel mistaken = {.port = primary.port};
    struct redis_peer peer;
    struct redis_link_options options = options_for_one(&mistaken);
    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, peer.downs == 1);
    expect_why(&peer, "this Redis is no sentinel, but a master");
    redis_peer_close(&peer);
}

static void test_a_wrong_list_is_down_in_words(void **state)
{
    (void)state;
    struct redis_peer peer;
    struct redis_link_options options = redis_peer_options(&primary);
    options.sentinels = "::";
    options.sentinel_master = "mymaster";
    options.reconnect = false;
    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, peer.downs == 1);
    assert_int_equal(peer.last_err, ERR_INVALID);
    redis_peer_close(&peer);
    options.sentinels = "127.0.0.1";
    options.sentinel_master = NULL;
    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, peer.downs == 1);
    assert_int_equal(peer.last_err, ERR_INVALID);
    redis_peer_close(&peer);
}

static void test_the_one_that_knew_is_asked_first(void **state)
{
    (void)state;
    struct fake_sentinel ignorant = {0}, good = {0};
    struct fake_sentinel *both[] = {&ignorant, &good};
    start(&ignorant, 1);
    ignorant.master = "another";
    start(&good, primary.port);
    struct redis_peer peer;
    struct redis_link_options options = options_for(both, 2);
    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, peer.ups == 1);
    assert_int_equal(redis_peer_tell(&peer, "CLIENT KILL TYPE normal SKIPME no"), OK);
    PUMP_UNTIL(peer.loop, peer.ups == 2);
    assert_int_equal(ignorant.asked, 1);
    assert_int_equal(good.asked, 2);
    redis_peer_close(&peer);
    fake_sentinel_stop(&ignorant);
    fake_sentinel_stop(&good);
}

/* --- What they said is wrong --- */

static void test_a_replica_means_asking_the_next(void **state)
{
    (void)state;
    static const char *const args[] = {"--replicaof", "127.0.0.1", "1", NULL};
    struct redis_server replica;
    struct fake_sentinel stale = {0}, good = {0};
    struct fake_sentinel *both[] = {&stale, &good};
    redis_server_start(&replica, args, false);
    start(&stale, replica.port);
    start(&good, primary.port);
    struct redis_peer peer;
    struct redis_link_options options = options_for(both, 2);
    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, peer.downs == 1);
    char words[80];
    snprintf(words, sizeof words, "127.0.0.1:%u: this Redis is no primary, but a slave",
             replica.port);
    assert_string_equal(peer.why, words);
    assert_int_equal(peer.last_err, ERR_AGAIN);
    PUMP_UNTIL(peer.loop, peer.ups == 1);
    assert_int_equal(stale.asked, 1);
    assert_int_equal(peer.downs, 1);
    redis_peer_close(&peer);
    fake_sentinel_stop(&stale);
    fake_sentinel_stop(&good);
    redis_server_stop(&replica);
}

static void test_a_dead_primary_means_asking_again(void **state)
{
    (void)state;
    struct fake_sentinel sentinel = {0};
    start(&sentinel, 1);
    struct redis_peer peer;
    struct redis_link_options options = options_for_one(&sentinel);
    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, peer.downs == 2);
    assert_string_equal(peer.why, "connect to 127.0.0.1:1: Connection refused");
    assert_int_equal(peer.last_err, ERR_AGAIN);
    sentinel.primary_port = primary.port;
    PUMP_UNTIL(peer.loop, peer.ups == 1);
    redis_peer_close(&peer);
    fake_sentinel_stop(&sentinel);
}

static void test_a_wrong_password_of_redis_is_final(void **state)
{
    (void)state;
    struct fake_sentinel sentinel = {0};
    start(&sentinel, primary.port);
    struct redis_peer peer;
    struct redis_link_options options = options_for_one(&sentinel);
    options.user = "nobody";
    options.password = "wrong";
    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, peer.downs == 1);
    assert_int_equal(peer.last_err, ERR_DENIED);
    expect_why(&peer, ": AUTH refused: WRONGPASS");
    expect_why(&peer, "127.0.0.1:");
    redis_peer_close(&peer);
    fake_sentinel_stop(&sentinel);
}

/* --- Hints --- */

static void open_watching(struct redis_peer *peer, struct fake_sentinel *sentinel)
{
    struct redis_link_options options = options_for_one(sentinel);
    redis_peer_open(peer, &options);
    PUMP_UNTIL(peer->loop, peer->ups == 1 && sentinel->subscribers == 1);
}

static void test_a_switch_is_followed_at_once(void **state)
{
    (void)state;
    struct fake_sentinel sentinel = {0};
    start(&sentinel, primary.port);
    struct redis_peer peer;
    open_watching(&peer, &sentinel);
    sentinel.primary_port = other.port;
    fake_sentinel_switch(&sentinel, "mymaster", other.port);
    PUMP_UNTIL(peer.loop, peer.downs == 1);
    char words[120];
    snprintf(words, sizeof words, "127.0.0.1:%u: the primary is at 127.0.0.1:%u now, says Sentinel",
             primary.port, other.port);
    assert_string_equal(peer.why, words);
    PUMP_UNTIL(peer.loop, peer.ups == 2);
    expect_server(&peer, &other);
    assert_int_equal(peer.downs, 1);
    redis_peer_close(&peer);
    fake_sentinel_stop(&sentinel);
}

static void test_who_gave_the_hint_is_asked_first(void **state)
{
    (void)state;
    struct fake_sentinel first = {0}, second = {0};
    struct fake_sentinel *both[] = {&first, &second};
    start(&first, primary.port);
    start(&second, primary.port);
    struct redis_peer peer;
    struct redis_link_options options = options_for(both, 2);
    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, peer.ups == 1 && first.subscribers == 1);
    fake_sentinel_drop(&first);
    PUMP_UNTIL(peer.loop, second.subscribers == 1);
    second.primary_port = other.port; /* the first is behind the times */
    fake_sentinel_switch(&second, "mymaster", other.port);
    PUMP_UNTIL(peer.loop, peer.ups == 2);
    expect_server(&peer, &other);
    assert_int_equal(peer.downs, 1);
    redis_peer_close(&peer);
    fake_sentinel_stop(&first);
    fake_sentinel_stop(&second);
}

static void test_hints_that_do_not_concern_us(void **state)
{
    (void)state;
    struct fake_sentinel sentinel = {0};
    start(&sentinel, primary.port);
    struct redis_peer peer;
    open_watching(&peer, &sentinel);
    fake_sentinel_switch(&sentinel, "another", other.port);
    fake_sentinel_switch(&sentinel, "mymaster", primary.port);
    fake_sentinel_switch(&sentinel, "mymaster", 0);
    fake_sentinel_publish(&sentinel, "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$0\r\n\r\n");
    pump_for(&peer, 300);
    assert_int_equal(peer.downs, 0);
    assert_int_equal(sentinel.subscribers, 1);
    redis_peer_close(&peer);
    fake_sentinel_stop(&sentinel);
}

static void test_the_watch_is_quiet_about_its_troubles(void **state)
{
    (void)state;
    struct fake_sentinel first = {0}, second = {0};
    struct fake_sentinel *both[] = {&first, &second};
    start(&first, primary.port);
    start(&second, primary.port);
    struct redis_peer peer;
    struct redis_link_options options = options_for(both, 2);
    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, peer.ups == 1 && first.subscribers == 1);
    fake_sentinel_publish(&first, "no Redis at all\r\n");
    PUMP_UNTIL(peer.loop, second.subscribers == 1);
    assert_int_equal(first.subscribers, 0);
    fake_sentinel_stop(&first);
    fake_sentinel_drop(&second);
    PUMP_UNTIL(peer.loop, second.subscribers == 1);
    fake_sentinel_stop(&second);
    pump_for(&peer, 600); /* longer than an answer may take */
    redis_peer_ask(&peer, "PING");
    assert_int_equal(peer.downs, 0);
    redis_peer_close(&peer);
}

/* The next attempt would come in an hour. */
static void test_a_hint_ends_the_wait(void **state)
{
    (void)state;
    struct fake_sentinel sentinel = {0};
    start(&sentinel, 1);
    struct redis_peer peer;
    struct redis_link_options options = options_for_one(&sentinel);
    options.backoff_min_ms = options.backoff_max_ms = 3600 * 1000;
    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, peer.downs == 1 && sentinel.subscribers == 1);
    peer.options.backoff_min_ms = 5;
    sentinel.primary_port = primary.port;
    fake_sentinel_switch(&sentinel, "mymaster", primary.port);
    PUMP_UNTIL(peer.loop, peer.ups == 1);
    redis_peer_close(&peer);
    fake_sentinel_stop(&sentinel);
}

/* One that takes connections and says nothing, until a hint names another. */
static void test_a_hint_ends_an_attempt(void **state)
{
    (void)state;
    struct fake_sentinel sentinel = {0}, stuck = {.silent = true};
    start(&stuck, 0);
    start(&sentinel, stuck.port);
    struct redis_peer peer;
    struct redis_link_options options = options_for_one(&sentinel);
    options.connect_timeout_ms = 200;
    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, peer.downs == 1 && sentinel.subscribers == 1);
    assert_int_equal(peer.last_err, ERR_AGAIN);
    expect_why(&peer, ": timed out");
    peer.options.connect_timeout_ms = 3600 * 1000;
    unsigned asked = sentinel.asked;
    PUMP_UNTIL(peer.loop,
               sentinel.asked > asked && redis_link_state(peer.link) == REDIS_LINK_CONNECTING);
    pump_for(&peer, 300);
    sentinel.primary_port = primary.port;
    fake_sentinel_switch(&sentinel, "mymaster", primary.port);
    PUMP_UNTIL(peer.loop, peer.ups == 1);
    redis_peer_close(&peer);
    fake_sentinel_stop(&sentinel);
    fake_sentinel_stop(&stuck);
}

/* --- Ends --- */

static void test_freed_while_asking(void **state)
{
    (void)state;
    struct fake_sentinel silent = {.silent = true};
    start(&silent, 1);
    struct redis_peer peer;
    struct redis_link_options options = options_for_one(&silent);
    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, redis_link_state(peer.link) == REDIS_LINK_CONNECTING);
    pump_for(&peer, 50);
    redis_peer_close(&peer);
    fake_sentinel_stop(&silent);
}

struct suicidal {
    struct redis_link *link;
    unsigned downs;
};

static void nothing(void *owner)
{
    (void)owner;
}

static void free_on_down(void *owner, enum err err, const char *why)
{
    struct suicidal *suicidal = owner;
    (void)err;
    assert_true(strlen(why) > 0);
    suicidal->downs++;
    redis_link_free(suicidal->link);
}

static void expect_suicide(struct fake_sentinel *sentinel, bool by_hint)
{
    static const struct redis_link_ops ops = {nothing, free_on_down, NULL};
    struct redis_link_options options = options_for_one(sentinel);
    struct loop *loop = loop_new();
    struct suicidal suicidal = {0};
    suicidal.link = redis_link_new(loop, &options, &ops, &suicidal);
    if (by_hint) {
        PUMP_UNTIL(loop, sentinel->subscribers == 1);
        fake_sentinel_switch(sentinel, "mymaster", other.port);
    }
    PUMP_UNTIL(loop, suicidal.downs == 1);
    loop_free(loop);
}

static void test_freed_from_on_down(void **state)
{
    (void)state;
    struct fake_sentinel sentinel = {0};
    start(&sentinel, primary.port);
    expect_suicide(&sentinel, true);
    sentinel.primary_port = 1;
    expect_suicide(&sentinel, false); /* nobody is there */
    sentinel.master = "another";
    expect_suicide(&sentinel, false); /* nobody knows */
    fake_sentinel_stop(&sentinel);
}

/* --- Without memory --- */

static void ask_once(struct redis_peer *peer)
{
    PUMP_UNTIL(peer->loop, redis_link_state(peer->link) == REDIS_LINK_UP);
    unsigned before = peer->answers + peer->closed;
    enum err err = redis_peer_tell(peer, "PING");
    if (err) {
        assert_int_equal(err, ERR_NOMEM);
        return;
    }
    PUMP_UNTIL(peer->loop, peer->answers + peer->closed > before);
}

/* Finds the primary, and follows it by a hint, whatever fails meanwhile. */
static void connect_and_follow(void *context)
{
    struct fake_sentinel *sentinel = context;
    struct redis_peer peer = {.options = options_for_one(sentinel)};
    peer.options.reply_timeout_ms = 2000;
    sentinel->primary_port = primary.port;
    peer.loop = loop_new();
    if (!peer.loop) {
        return;
    }
    peer.link = redis_link_new(peer.loop, &peer.options, &redis_peer_ops, &peer);
    if (peer.link) {
        while (peer.answers == 0) {
            ask_once(&peer);
        }
        PUMP_UNTIL(peer.loop, sentinel->subscribers == 1);
        sentinel->primary_port = other.port;
        unsigned ups = peer.ups;
        fake_sentinel_switch(sentinel, "mymaster", other.port);
        PUMP_UNTIL(peer.loop, peer.ups > ups);
    }
    redis_peer_close(&peer);
    while (sentinel->subscribers > 0) {
    }
}

static void test_each_allocation_may_fail(void **state)
{
    (void)state;
    struct fake_sentinel sentinel = {0};
    start(&sentinel, primary.port);
    failing_alloc_each(connect_and_follow, &sentinel);
    fake_sentinel_stop(&sentinel);
}

int main(void)
{
    signal(SIGPIPE, SIG_DFL); /* a link must not raise it */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_sentinel_says_where),
        cmocka_unit_test(test_sentinels_are_asked_until_one_knows),
        cmocka_unit_test(test_when_nobody_knows_each_is_quoted),
        cmocka_unit_test(test_sentinels_have_a_password_of_their_own),
        cmocka_unit_test(test_a_redis_is_no_sentinel),
        cmocka_unit_test(test_a_wrong_list_is_down_in_words),
        cmocka_unit_test(test_the_one_that_knew_is_asked_first),
        cmocka_unit_test(test_a_replica_means_asking_the_next),
        cmocka_unit_test(test_a_dead_primary_means_asking_again),
        cmocka_unit_test(test_a_wrong_password_of_redis_is_final),
        cmocka_unit_test(test_a_switch_is_followed_at_once),
        cmocka_unit_test(test_who_gave_the_hint_is_asked_first),
        cmocka_unit_test(test_hints_that_do_not_concern_us),
        cmocka_unit_test(test_the_watch_is_quiet_about_its_troubles),
        cmocka_unit_test(test_a_hint_ends_the_wait),
        cmocka_unit_test(test_a_hint_ends_an_attempt),
        cmocka_unit_test(test_freed_while_asking),
        cmocka_unit_test(test_freed_from_on_down),
        cmocka_unit_test(test_each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, start_servers, stop_servers);
}
