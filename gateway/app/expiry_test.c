/* What becomes of clients whose tokens end. The wall clock is the test's, the other one is real. */
#include "app/expiry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app_world.h"
#include "util/clock.h"

#define ADDRESS "0x00000000000000000000000000000000000000aa"
#define EXPIRED "42[\"error\",{\"message\":\"Token expired\"}]"

/* Far away from the real time, at which nothing is due then. */
enum { WARN_MS = 60000 };
static const int64_t exp_s = 4000000000, exp_ms = 4000000000000;

static struct app_world world;
static struct eio_session alice;
static int64_t wall_ms;

/* --- Time --- */

static void fake_wall(void)
{
    static struct clock_fake now;
    clock_set_fake(NULL);
    now = (struct clock_fake){.monotonic_ms = clock_monotonic_ms(), .wall_ms = wall_ms};
    clock_set_fake(&now);
}

static void turn(void)
{
    fake_wall();
    assert_int_equal(loop_turn(world.peer.loop, 1), OK);
    clock_set_fake(NULL);
}

static void pass(unsigned ms)
{
    for (uint64_t until = clock_monotonic_ms() + ms; clock_monotonic_ms() < until;) {
        turn();
    }
}

/* --- Persons, by the test's clock --- */

static void says(struct eio_session *person, const char *text)
{
    fake_wall();
    person_says(person, text);
    clock_set_fake(NULL);
}

static void await(struct eio_session *person)
{
    for (uint64_t until = clock_monotonic_ms() + 10000; person->sent.len == 0;) {
        assert_true(clock_monotonic_ms() < until);
        turn();
    }
}

static void hears(struct eio_session *person, const char *packet)
{
    await(person);
    person_hears(person, packet);
}

static void hears_begin(struct eio_session *person, const char *beginning)
{
    await(person);
    person_hears_begin(person, beginning);
}

/* Longer than the next look at the clock can be away. */
static void hears_nothing(struct eio_session *person)
{
    pass(300);
    assert_int_equal(person->sent.len, 0);
}

static void hears_expiring(struct eio_session *person, int64_t expires_s)
{
    char now[CLOCK_ISO8601_LEN + 1], expires[CLOCK_ISO8601_LEN + 1], packet[256];
    clock_iso8601(wall_ms, now);
    clock_iso8601(expires_s * 1000, expires);
    snprintf(packet, sizeof packet,
             "42[\"token:expiring\",{\"type\":\"token:expiring\",\"timestamp\":\"%s\","
             "\"data\":{\"expiresAt\":\"%s\"}}]",
             now, expires);
    hears(person, packet);
}

static void expires(struct eio_session *person)
{
    hears(person, EXPIRED);
    person_hears(person, "41");
    pass(5);
    assert_int_equal(person->sent.len, 0);
    assert_false(person->closed); /* the session stays, for whoever says goodbye */
}

/* 0: it never expires. The caller's. */
static char *token_until(const char *sub, int64_t expires_s)
{
    char claims[128];
    if (expires_s > 0) {
        snprintf(claims, sizeof claims, "{\"sub\":\"%s\",\"exp\":%lld}", sub, (long long)expires_s);
    } else {
        snprintf(claims, sizeof claims, "{\"sub\":\"%s\"}", sub);
    }
    return app_world_token(claims);
}

/* `more` goes into the auth object, in front of the token. */
static void connects(struct eio_session *person, const char *more, int64_t expires_s)
{
    char text[1024], *token = token_until("alice", expires_s);
    snprintf(text, sizeof text, "0{%s\"token\":\"%s\"}", more, token);
    free(token);
    assert_true(person_open(&world, person));
    says(person, text);
}

static void arrives(struct eio_session *person, int64_t expires_s)
{
    connects(person, "", expires_s);
    hears_begin(person, "40{\"sid\":");
    hears_begin(person, "42[\"connected\",");
}

static void answer(struct eio_session *person, const char *expected)
{
    char text[256];
    snprintf(text, sizeof text, "437[%s]", expected);
    person_hears(person, text);
}

static void authenticates(struct eio_session *person, char *token)
{
    char text[1024];
    snprintf(text, sizeof text, "27[\"authenticate\",{\"token\":\"%s\"}]", token);
    free(token);
    says(person, text);
}

static void renews(struct eio_session *person, int64_t expires_s)
{
    char expires_at[CLOCK_ISO8601_LEN + 1], expected[128];
    authenticates(person, token_until("alice", expires_s));
    clock_iso8601(expires_s * 1000, expires_at);
    snprintf(expected, sizeof expected, "{\"success\":true,\"expiresAt\":\"%s\"}", expires_at);
    answer(person, expires_s > 0 ? expected : "{\"success\":true}");
}

/* --- Tests --- */

static int set_up(void **state)
{
    (void)state;
    app_world_init(&world);
    wall_ms = exp_ms - 10 * WARN_MS;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    person_leaves(&alice);
    assert_int_equal(world.app->stats.members, 0);
    assert_int_equal(world.app->expiry.count, 0);
    app_world_close(&world);
    return 0;
}

static void a_client_is_told_and_then_disconnected(void **state)
{
    (void)state;
    app_world_open(&world);
    arrives(&alice, exp_s);
    wall_ms = exp_ms - WARN_MS - 1;
    hears_nothing(&alice);
    wall_ms++;
    hears_expiring(&alice, exp_s);
    wall_ms = exp_ms - 1;
    hears_nothing(&alice);
    wall_ms++;
    expires(&alice);
    assert_int_equal(world.app->stats.members, 0);
    assert_int_equal(world.app->expiry.expired, 1);
}

static void it_is_told_at_once_where_less_is_left(void **state)
{
    (void)state;
    app_world_open(&world);
    wall_ms = exp_ms - 2000;
    arrives(&alice, exp_s);
    hears_expiring(&alice, exp_s);
    hears_nothing(&alice);
    wall_ms = exp_ms;
    expires(&alice);
}

static void the_issuers_clock_may_differ(void **state)
{
    (void)state;
    world.options.auth.leeway_s = 10;
    app_world_open(&world);
    wall_ms = exp_ms + 9000; /* as late as it is let in */
    arrives(&alice, exp_s);
    hears_expiring(&alice, exp_s);
    wall_ms = exp_ms + 9999;
    hears_nothing(&alice);
    wall_ms++;
    expires(&alice);
}

static void nobody_is_told_where_it_is_off(void **state)
{
    (void)state;
    world.options.token_expiring_ms = 0;
    app_world_open(&world);
    wall_ms = exp_ms - 10;
    arrives(&alice, exp_s);
    hears_nothing(&alice);
    renews(&alice, exp_s + 1);
    wall_ms = exp_ms + 999;
    hears_nothing(&alice);
    wall_ms++;
    expires(&alice);
}

static void without_exp_nothing_ends(void **state)
{
    (void)state;
    app_world_open(&world);
    arrives(&alice, 0);
    assert_int_equal(world.app->expiry.count, 0);
    wall_ms = INT64_C(1) << 48;
    hears_nothing(&alice);
}

/* After 2106 by 32 bits of seconds. */
static void what_ends_too_late_never_does(void **state)
{
    (void)state;
    app_world_open(&world);
    arrives(&alice, (int64_t)UINT32_MAX + 1);
    assert_int_equal(world.app->expiry.count, 0);
    renews(&alice, UINT32_MAX);
    assert_int_equal(world.app->expiry.count, 1);
    wall_ms = (int64_t)UINT32_MAX * 1000;
    expires(&alice);
}

static void another_token_goes_on(void **state)
{
    (void)state;
    app_world_open(&world);
    wall_ms = exp_ms - WARN_MS;
    arrives(&alice, exp_s);
    hears_expiring(&alice, exp_s);
    renews(&alice, exp_s + 600);
    wall_ms = exp_ms + 600000 - WARN_MS - 1;
    hears_nothing(&alice);
    wall_ms++;
    hears_expiring(&alice, exp_s + 600);
    renews(&alice, 0);
    wall_ms += 10 * WARN_MS;
    hears_nothing(&alice);
    renews(&alice, exp_s + 7200);
    wall_ms = exp_ms + 7200000;
    expires(&alice);
    assert_int_equal(world.app->stats.renewed, 3);
}

/* Told at once, a client that renews at once would do so without end. */
static void a_short_renewal_is_told_of_at_its_half(void **state)
{
    (void)state;
    app_world_open(&world);
    wall_ms = exp_ms - 20000;
    arrives(&alice, exp_s);
    hears_expiring(&alice, exp_s);
    renews(&alice, exp_s); /* the same again changes nothing */
    hears_nothing(&alice);
    renews(&alice, exp_s + 10); /* 30 seconds are left */
    wall_ms += 14999;
    hears_nothing(&alice);
    wall_ms++;
    hears_expiring(&alice, exp_s + 10);
    wall_ms = exp_ms + 10000;
    expires(&alice);
}

static void is_refused(const char *event, const char *message)
{
    char expected[160];
    uint64_t refused = world.app->stats.renewals_refused;
    snprintf(expected, sizeof expected, "{\"success\":false,\"message\":\"%s\"}", message);
    says(&alice, event);
    answer(&alice, expected);
    assert_int_equal(world.app->stats.renewals_refused, refused + 1);
    pass(1001 - (unsigned)(clock_monotonic_ms() % 1000)); /* until another is looked at */
}

static void is_refused_token(char *token, const char *message)
{
    char event[1024];
    snprintf(event, sizeof event, "27[\"authenticate\",{\"token\":\"%s\"}]", token);
    free(token);
    is_refused(event, message);
}

static void a_refusal_changes_nothing(void **state)
{
    (void)state;
    app_world_open(&world);
    arrives(&alice, exp_s);
    is_refused("27[\"authenticate\"]", "Expected {token} with a string");
    is_refused("27[\"authenticate\",\"a.b.c\"]", "Expected {token} with a string");
    is_refused("27[\"authenticate\",{}]", "Expected {token} with a string");
    is_refused("27[\"authenticate\",{\"token\":1}]", "Authentication failed");
    is_refused_token(strdup("a.b.c"), "Authentication failed");
    is_refused_token(token_until("alice", wall_ms / 1000), "Authentication failed");
    is_refused_token(token_until("bob", exp_s + 60), "Not allowed: this token is another user's");
    is_refused_token(app_world_token("{\"sub\":\"alice\",\"address\":\"" ADDRESS "\"}"),
                     "Not allowed: this token is another user's");
    says(&alice, "2[\"authenticate\",{\"token\":\"without.an.ack\"}]");
    assert_int_equal(alice.sent.len, 0);
    wall_ms = exp_ms;
    expires(&alice);
}

/* One verification a second is all that a stranger gets for nothing. */
static void after_a_refusal_it_waits(void **state)
{
    (void)state;
    app_world_open(&world);
    arrives(&alice, exp_s);
    while (clock_monotonic_ms() % 1000 > 500) {
        pass(1); /* all of it within one second */
    }
    authenticates(&alice, token_until("bob", exp_s));
    answer(&alice, "{\"success\":false,\"message\":\"Not allowed: this token is another user's\"}");
    uint64_t looked_up = world.app->tokens.hits + world.app->tokens.misses;
    for (int i = 0; i < 100; i++) {
        authenticates(&alice, token_until("alice", exp_s + 60));
        answer(&alice,
               "{\"success\":false,\"message\":\"Refused a moment ago; try again in a second\"}");
    }
    assert_int_equal(world.app->tokens.hits + world.app->tokens.misses, looked_up);
    pass(1000);
    renews(&alice, exp_s + 60);
}

static void a_clock_that_is_set_back_prolongs_no_life(void **state)
{
    (void)state;
    app_world_open(&world);
    wall_ms = exp_ms - 20;
    arrives(&alice, exp_s);
    hears_expiring(&alice, exp_s);
    wall_ms -= 86400000;
    hears_nothing(&alice);
    wall_ms = exp_ms;
    expires(&alice);
}

/* --- Recovery --- */

static bool in_redis(const char *pid)
{
    char command[128], text[512];
    snprintf(command, sizeof command, "EXISTS guesslyfe:session:%s", pid);
    redis_server_ask(&world.redis, command, text, sizeof text);
    return strncmp(text, ":1", 2) == 0;
}

static void arrives_to_recover(struct person_past *past, int64_t expires_s)
{
    char more[256] = "\"recovery\":true,";
    if (past->pid[0]) {
        snprintf(more, sizeof more, "\"recovery\":true,\"pid\":\"%s\",\"offset\":\"%s\",",
                 past->pid, past->offset);
    }
    connects(&alice, more, expires_s);
    await(&alice);
    person_is_accepted(&alice, past);
    await(&alice);
    person_hears_event(&alice, past, "42[\"connected\"");
}

static void a_recovered_client_ends_likewise(void **state)
{
    (void)state;
    struct person_past past = {0};
    app_world_open(&world);
    wall_ms = exp_ms - 5000;
    arrives_to_recover(&past, exp_s);
    hears_expiring(&alice, exp_s);
    person_leaves(&alice);
    wall_ms += 1000;
    arrives_to_recover(&past, exp_s);
    assert_true(past.recovered);
    hears_expiring(&alice, exp_s);
    assert_true(in_redis(past.pid));
    wall_ms = exp_ms;
    expires(&alice);
    PUMP_UNTIL(world.peer.loop, !in_redis(past.pid));
}

/* It may wait for Redis for long, not accepted yet. */
static void its_token_may_end_while_it_is_recovered(void **state)
{
    (void)state;
    struct person_past past = {0};
    char more[256];
    app_world_open(&world);
    arrives_to_recover(&past, exp_s);
    person_leaves(&alice);
    app_world_settle(&world);
    redis_server_pause(&world.redis);
    snprintf(more, sizeof more, "\"recovery\":true,\"pid\":\"%s\",\"offset\":\"%s\",", past.pid,
             past.offset);
    connects(&alice, more, exp_s);
    wall_ms = exp_ms;
    hears_begin(&alice, "40{\"sid\":\"");
    expires(&alice);
    redis_server_resume(&world.redis);
    app_world_settle(&world);
    assert_int_equal(alice.sent.len, 0);
}

static void its_token_may_end_before_it_is_connected(void **state)
{
    (void)state;
    app_world_open(&world);
    redis_server_pause(&world.redis);
    connects(&alice, "", exp_s);
    hears_begin(&alice, "40{\"sid\":");
    wall_ms = exp_ms - 1; /* it is not told before it is connected */
    pass(20);
    wall_ms++;
    expires(&alice);
    redis_server_resume(&world.redis);
    app_world_settle(&world);
    assert_int_equal(alice.sent.len, 0);
}

/* --- Many --- */

enum { CROWD = 600, SECONDS = 10 };
static struct eio_session crowd[CROWD];
static int64_t ends[CROWD]; /* 0: gone already */

static void end_is_due(int i)
{
    bool over = ends[i] > 0 && ends[i] * 1000 <= wall_ms;
    if (over) {
        expires(&crowd[i]);
        person_leaves(&crowd[i]);
        ends[i] = 0;
    }
    assert_int_equal(crowd[i].sent.len, 0);
}

static void everybody_ends_in_time(void **state)
{
    (void)state;
    world.options.token_expiring_ms = 0;
    app_world_open(&world);
    wall_ms = exp_ms - 5;
    for (int i = 0; i < CROWD / 4; i++) {
        ends[i] = exp_s + (i * 7919) % SECONDS;
        arrives(&crowd[i], ends[i]);
    }
    for (int i = 0; i < CROWD / 4; i += 5) {
        person_leaves(&crowd[i]);
        ends[i] = 0;
        ends[i + 1] = exp_s + (i * 104729) % SECONDS;
        renews(&crowd[i + 1], ends[i + 1]);
    }
    for (int second = -1; second < SECONDS; second++) {
        wall_ms = exp_ms + second * 1000;
        size_t left = 0;
        for (int i = 0; i < CROWD / 4; i++) {
            left += ends[i] * 1000 > wall_ms;
        }
        for (int i = 0; i < 10000 && world.app->expiry.count > left; i++) {
            turn();
        }
        assert_int_equal(world.app->expiry.count, left);
        for (int i = 0; i < CROWD / 4; i++) {
            end_is_due(i);
        }
    }
    assert_int_equal(world.app->stats.members, 0);
}

static void many_ends_are_spread_over_turns(void **state)
{
    (void)state;
    world.options.token_expiring_ms = 0;
    app_world_open(&world);
    wall_ms = exp_ms - 5;
    for (int i = 0; i < CROWD; i++) {
        arrives(&crowd[i], exp_s);
    }
    wall_ms = exp_ms;
    unsigned turns = 0;
    while (world.app->stats.members > 0) {
        size_t before = world.app->stats.members;
        turn();
        assert_in_range(before - world.app->stats.members, 0, CROWD / 4);
        turns += world.app->stats.members < before;
    }
    assert_in_range(turns, 5, CROWD);
    for (int i = 0; i < CROWD; i++) {
        hears(&crowd[i], EXPIRED);
        person_leaves(&crowd[i]);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_client_is_told_and_then_disconnected),
        TEST(it_is_told_at_once_where_less_is_left),
        TEST(the_issuers_clock_may_differ),
        TEST(nobody_is_told_where_it_is_off),
        TEST(without_exp_nothing_ends),
        TEST(what_ends_too_late_never_does),
        TEST(another_token_goes_on),
        TEST(a_short_renewal_is_told_of_at_its_half),
        TEST(a_refusal_changes_nothing),
        TEST(after_a_refusal_it_waits),
        TEST(a_clock_that_is_set_back_prolongs_no_life),
        TEST(a_recovered_client_ends_likewise),
        TEST(its_token_may_end_while_it_is_recovered),
        TEST(its_token_may_end_before_it_is_connected),
        TEST(everybody_ends_in_time),
        TEST(many_ends_are_spread_over_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
