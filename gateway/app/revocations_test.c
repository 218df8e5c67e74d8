/* Revocations: read from a real Redis, asked for newcomers and for all who are there. */
#include "app/revocations.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app_world.h"
#include "failing_alloc.h"
#include "util/clock.h"

#define ADDRESS  "0x00000000000000000000000000000000000000aa"
#define REVOKED  "42[\"error\",{\"message\":\"Token revoked\"}]"
#define ACCEPTED "40{\"sid\":"

static struct app_world world;
static struct app_revocations *revocations;

static int set_up(void **state)
{
    (void)state;
    app_world_init(&world);
    app_world_open(&world);
    revocations = &world.app->revocations;
    PUMP_UNTIL(world.peer.loop, revocations->known);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    app_world_close(&world);
    return 0;
}

static bool refused(const char *sub, const char *address, uint64_t issued_s)
{
    return app_revocations_refuse(revocations, str_from(sub), str_from(address), issued_s);
}

/* A reading of all, to its end. */
static void read_all(void)
{
    app_revocations_read(revocations);
    PUMP_UNTIL(world.peer.loop, !revocations->request);
}

/* CONNECT with claims of one's own. */
static void connect_with(struct eio_session *person, const char *claims)
{
    char text[1024];
    char *token = app_world_token(claims);
    snprintf(text, sizeof text, "0{\"token\":\"%s\"}", token);
    free(token);
    assert_true(person_open(&world, person));
    person_says(person, text);
}

/* --- The table --- */

static void nothing_is_refused_at_first(void **state)
{
    (void)state;
    assert_false(refused("alice", ADDRESS, 0));
    assert_int_equal(app_revocations_count(revocations), 0);
}

static void tokens_of_before_are_refused(void **state)
{
    (void)state;
    assert_int_equal(app_revocations_note(revocations, STR("alice"), 100), OK);
    assert_true(refused("alice", "", 99));
    assert_true(refused("alice", "", 0));
    assert_false(refused("alice", "", 100));
    assert_false(refused("Alice", "", 0));
    assert_false(refused("alic", "", 0));
    assert_int_equal(app_revocations_note(revocations, STR("alice"), BUS_REVOKED_ALWAYS), OK);
    assert_true(refused("alice", "", UINT32_MAX));
    assert_int_equal(app_revocations_note(revocations, STR("alice"), 0), OK);
    assert_false(refused("alice", "", 0));
    assert_int_equal(app_revocations_note(revocations, STR("alice"), 0), OK);
}

static void one_that_refuses_is_enough(void **state)
{
    (void)state;
    assert_int_equal(app_revocations_note(revocations, STR(ADDRESS), 100), OK);
    assert_true(refused("alice", ADDRESS, 99));
    assert_false(refused("alice", "", 99));
    assert_int_equal(app_revocations_note(revocations, BUS_EVERYBODY, 50), OK);
    assert_true(refused("bob", "", 49));
    assert_false(refused("bob", "", 50));
    assert_true(refused("alice", ADDRESS, 60));
    assert_int_equal(app_revocations_count(revocations), 2);
    assert_int_equal(app_revocations_note(revocations, BUS_EVERYBODY, 0), OK);
    assert_false(refused("bob", "", 0));
}

/* --- Reading --- */

static void what_redis_holds_takes_the_place_of_what_was(void **state)
{
    (void)state;
    assert_int_equal(app_revocations_note(revocations, STR("gone"), 100), OK);
    redis_peer_ask(&world.peer, "HSET guesslyfe:revoked alice 100 * 50 0X" /* any letter case */
                                "00000000000000000000000000000000000000AA -");
    read_all();
    assert_int_equal(app_revocations_count(revocations), 3);
    assert_true(refused("alice", "", 99));
    assert_true(refused("bob", "", 49));
    assert_true(refused("bob", ADDRESS, 1000));
    assert_false(refused("gone", "", 60));
}

static void what_is_none_is_left_out(void **state)
{
    (void)state;
    redis_peer_ask(&world.peer, "HSET guesslyfe:revoked alice never a,b 5 bob 100");
    read_all();
    assert_int_equal(app_revocations_count(revocations), 1);
    assert_false(refused("alice", "", 0));
    assert_true(refused("bob", "", 0));
}

/* Told while all is being read: pages that were read before it do not undo it. */
static void a_note_outlives_the_reading_under_way(void **state)
{
    (void)state;
    redis_peer_ask(&world.peer, "HSET guesslyfe:revoked alice 100 bob 100");
    app_revocations_read(revocations);
    PUMP_UNTIL(world.peer.loop, revocations->request);
    assert_int_equal(app_revocations_note(revocations, STR("carol"), 100), OK);
    PUMP_UNTIL(world.peer.loop, !revocations->request);
    assert_true(refused("alice", "", 0));
    assert_true(refused("carol", "", 0));
}

static void a_refusal_is_tried_again(void **state)
{
    (void)state;
    assert_int_equal(app_revocations_note(revocations, STR("alice"), 100), OK);
    redis_peer_ask(&world.peer, "SET guesslyfe:revoked text");
    read_all();
    assert_int_equal(revocations->failed, 1);
    assert_true(refused("alice", "", 0)); /* what was known is known still */
    redis_peer_ask(&world.peer, "DEL guesslyfe:revoked");
    redis_peer_ask(&world.peer, "HSET guesslyfe:revoked bob 100");
    PUMP_UNTIL(world.peer.loop, refused("bob", "", 0));
    assert_false(refused("alice", "", 0));
}

/* --- Clients --- */

static void the_age_of_a_token_is_its_iat(void **state)
{
    (void)state;
    struct eio_session old, young, silent;
    assert_int_equal(app_revocations_note(revocations, STR("alice"), 100), OK);
    connect_with(&old, "{\"sub\":\"alice\",\"iat\":99.9}");
    person_hears_begin(&old, ACCEPTED);
    person_hears(&old, REVOKED);
    person_hears(&old, "41");
    connect_with(&silent, "{\"sub\":\"alice\"}");
    person_hears_begin(&silent, ACCEPTED);
    person_hears(&silent, REVOKED);
    connect_with(&young, "{\"sub\":\"alice\",\"iat\":100}");
    person_hears_begin(&young, ACCEPTED);
    person_hears_begin(&young, "42[\"connected\"");
    assert_int_equal(world.app->stats.auth_revoked, 2);
    assert_int_equal(world.app->stats.members, 1);
    assert_int_equal(world.app->stats.connected, 1);
    person_leaves(&old);
    person_leaves(&silent);
    person_leaves(&young);
}

static void whoever_is_there_is_asked_after_each_reading(void **state)
{
    (void)state;
    struct eio_session alice, bob;
    person_joins(&world, &alice, "alice", ADDRESS);
    person_joins(&world, &bob, "bob", NULL);
    redis_peer_ask(&world.peer, "HSET guesslyfe:revoked " ADDRESS " -");
    app_revocations_read(revocations);
    person_hears(&alice, REVOKED);
    person_hears(&alice, "41");
    person_hears_nothing(&bob);
    assert_int_equal(world.app->stats.revoked, 1);
    assert_int_equal(app_world_members(&world, "user:alice"), 0);
    person_leaves(&alice);
    person_leaves(&bob);
}

/* Its session, and what it waited for, goes with it. */
static void a_recovering_client_is_turned_away(void **state)
{
    (void)state;
    struct eio_session alice;
    struct person_past past = {0};
    person_arrives(&world, &alice, "alice", &past);
    person_leaves(&alice);
    assert_int_equal(app_revocations_note(revocations, STR("alice"), 100), OK);
    assert_true(person_open(&world, &alice));
    person_asks_to_recover(&alice, "alice", NULL, &past);
    person_hears_begin(&alice, ACCEPTED);
    person_hears(&alice, REVOKED);
    person_hears(&alice, "41");
    assert_int_equal(world.app->recovery.recovered, 0);
    person_leaves(&alice);
}

/* The other gateway of this world has not read them yet. */
static void nobody_comes_in_before_they_are_known(void **state)
{
    (void)state;
    struct eio_session alice, bob, carol;
    struct app_world other = world;
    redis_peer_ask(&world.peer, "HSET guesslyfe:revoked alice -");
    redis_server_pause(&world.redis);
    other.options.bus.gateway_id = "another";
    other.app = app_new(world.peer.loop, &other.options);
    assert_non_null(other.app);
    other.namespace = app_namespace(other.app);
    other.sockets = sio_server_new(world.peer.loop, &other.sio_options, &other.namespace, 1);
    assert_non_null(other.sockets);
    struct eio_session *persons[] = {&alice, &bob, &carol};
    static const char *const names[] = {"alice", "bob", "carol"};
    for (size_t i = 0; i < ARRAY_LEN(persons); i++) {
        assert_true(person_open(&other, persons[i]));
        person_connects(persons[i], names[i], NULL);
        assert_int_equal(persons[i]->sent.len, 0);
    }
    person_leaves(&carol);
    redis_server_resume(&world.redis);
    person_hears_begin(&alice, ACCEPTED);
    person_hears(&alice, REVOKED);
    person_hears_begin(&bob, ACCEPTED);
    person_hears_begin(&bob, "42[\"connected\"");
    person_leaves(&alice);
    person_leaves(&bob);
    app_world_close_beside(&other);
}

/* --- Without memory --- */

static void read_somehow(void *context)
{
    (void)context;
    app_revocations_read(revocations);
    PUMP_UNTIL(world.peer.loop, !revocations->request && !wheel_timer_is_set(&revocations->retry));
}

/* It is read in the end; what was known is known until then. */
static void reading_without_memory(void **state)
{
    (void)state;
    redis_peer_ask(&world.peer, "HSET guesslyfe:revoked alice 100 bob 100 carol -");
    read_all();
    failing_alloc_each(read_somehow, NULL);
    assert_int_equal(app_revocations_count(revocations), 3);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(nothing_is_refused_at_first),
        IN_WORLD(tokens_of_before_are_refused),
        IN_WORLD(one_that_refuses_is_enough),
        IN_WORLD(what_redis_holds_takes_the_place_of_what_was),
        IN_WORLD(what_is_none_is_left_out),
        IN_WORLD(a_note_outlives_the_reading_under_way),
        IN_WORLD(a_refusal_is_tried_again),
        IN_WORLD(the_age_of_a_token_is_its_iat),
        IN_WORLD(whoever_is_there_is_asked_after_each_reading),
        IN_WORLD(a_recovering_client_is_turned_away),
        IN_WORLD(nobody_comes_in_before_they_are_known),
        IN_WORLD(reading_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
