/* Places of users: two gateways on one Redis, and newcomers of whom some are one too many. */
#include "app/permit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "app_world.h"
#include "failing_alloc.h"
#include "util/clock.h"

#define ACCEPTED "40{\"sid\":"
#define TOO_MANY "42[\"error\",{\"message\":\"Too many connections\"}]"

enum { MOST = 2, BEAT_MS = 200 };

static struct app_world world, other;
static struct eio_session alice[4];

/* As the gateways' heartbeats would write them. */
static void lives(const char *gateway)
{
    char command[96];
    snprintf(command, sizeof command, "SET guesslyfe:gateway:%s {} PX 1000000", gateway);
    redis_peer_ask(&world.peer, command);
}

static void dies(const char *gateway)
{
    char command[96];
    snprintf(command, sizeof command, "DEL guesslyfe:gateway:%s", gateway);
    redis_peer_ask(&world.peer, command);
}

static void open_world(uint64_t most)
{
    app_world_init(&world);
    world.options.max_connections_per_user = most;
    world.options.heartbeat_ms = BEAT_MS;
    app_world_open(&world);
    PUMP_UNTIL(world.peer.loop, world.app->revocations.known);
    lives("gateway");
    lives("another");
}

static int set_up(void **state)
{
    (void)state;
    open_world(MOST);
    return 0;
}

static int set_up_without_limit(void **state)
{
    (void)state;
    open_world(0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    app_world_close(&world);
    return 0;
}

static int set_up_two(void **state)
{
    set_up(state);
    app_world_open_beside(&other, &world);
    PUMP_UNTIL(world.peer.loop, other.app->revocations.known);
    return 0;
}

static int tear_down_two(void **state)
{
    app_world_close_beside(&other);
    return tear_down(state);
}

static void comes(struct app_world *to, struct eio_session *person)
{
    assert_true(person_open(to, person));
    person_connects(person, "alice", NULL);
}

static void is_let_in(struct eio_session *person)
{
    person_hears_begin(person, ACCEPTED);
    person_hears_begin(person, "42[\"connected\"");
}

static void is_turned_away(struct eio_session *person)
{
    person_hears_begin(person, ACCEPTED);
    person_hears(person, TOO_MANY);
    person_hears(person, "41");
}

/* What Redis knows of a gateway; "(nil)": nothing. */
static const char *told(const char *gateway)
{
    char command[96];
    snprintf(command, sizeof command, "HGET guesslyfe:connections:alice %s", gateway);
    redis_peer_ask(&world.peer, command);
    return world.peer.reply;
}

static bool nobody_is_known(void)
{
    return world.app->permits.users.count == 0;
}

static void one_too_many_is_turned_away(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        comes(&world, &alice[i]);
    }
    is_let_in(&alice[0]);
    is_let_in(&alice[1]);
    is_turned_away(&alice[2]);
    assert_int_equal(world.app->permits.over_limit, 1);
    assert_int_equal(world.app->stats.members, 2);
    assert_int_equal(world.app->stats.connected, 2);
    assert_string_equal(told("gateway"), "2");
    for (unsigned i = 0; i < 3; i++) {
        person_leaves(&alice[i]);
    }
    PUMP_UNTIL(world.peer.loop, nobody_is_known());
    redis_peer_ask(&world.peer, "EXISTS guesslyfe:connections:alice");
    assert_string_equal(world.peer.reply, "0");
}

static void another_gateways_clients_count(void **state)
{
    (void)state;
    comes(&world, &alice[0]);
    is_let_in(&alice[0]);
    comes(&other, &alice[1]);
    is_let_in(&alice[1]);
    comes(&world, &alice[2]);
    is_turned_away(&alice[2]);
    person_leaves(&alice[0]);
    comes(&other, &alice[3]);
    is_let_in(&alice[3]);
    for (unsigned i = 1; i < 4; i++) {
        person_leaves(&alice[i]);
    }
}

/* The connection that is replaced ends a moment later than the new one comes. */
static void a_place_that_becomes_free_is_taken(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        comes(&world, &alice[i]);
    }
    is_let_in(&alice[0]);
    is_let_in(&alice[1]);
    PUMP_UNTIL(world.peer.loop, !list_empty(&world.app->permits.again));
    assert_int_equal(alice[2].sent.len, 0);
    person_leaves(&alice[0]);
    is_let_in(&alice[2]);
    assert_int_equal(world.app->permits.over_limit, 0);
    person_leaves(&alice[1]);
    person_leaves(&alice[2]);
}

/* Its entry, overdue already, goes while a newcomer waits. */
static void a_dead_gateways_clients_are_waited_for(void **state)
{
    (void)state;
    redis_peer_ask(&world.peer, "HSET guesslyfe:connections:alice dead 2");
    redis_peer_ask(&world.peer, "SET guesslyfe:gateway:dead {} PX 700"); /* fresh has 750 left */
    comes(&world, &alice[0]);
    PUMP_UNTIL(world.peer.loop, !list_empty(&world.app->permits.again));
    is_let_in(&alice[0]);
    assert_string_equal(told("dead"), "(nil)");
    person_leaves(&alice[0]);
}

static void whoever_leaves_while_it_waits_takes_nothing(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        comes(&world, &alice[i]);
    }
    person_leaves(&alice[0]); /* its question is under way */
    is_let_in(&alice[1]);
    is_let_in(&alice[2]);
    comes(&world, &alice[0]);
    PUMP_UNTIL(world.peer.loop, !list_empty(&world.app->permits.again));
    person_leaves(&alice[0]); /* it was to be asked for again */
    PUMP_UNTIL(world.peer.loop, strcmp(told("gateway"), "2") == 0);
    person_leaves(&alice[1]);
    person_leaves(&alice[2]);
    PUMP_UNTIL(world.peer.loop, nobody_is_known());
}

static void all_is_told_again_when_redis_is_back(void **state)
{
    (void)state;
    comes(&world, &alice[0]);
    is_let_in(&alice[0]);
    redis_peer_ask(&world.peer, "DEL guesslyfe:connections:alice");
    app_permits_renew(&world.app->permits);
    PUMP_UNTIL(world.peer.loop, strcmp(told("gateway"), "1") == 0);
    person_leaves(&alice[0]);
}

static void redis_that_refuses_is_no_lock(void **state)
{
    (void)state;
    redis_peer_ask(&world.peer, "SET guesslyfe:connections:alice text");
    for (unsigned i = 0; i < 3; i++) {
        comes(&world, &alice[i]);
        is_let_in(&alice[i]);
    }
    for (unsigned i = 0; i < 3; i++) {
        person_leaves(&alice[i]);
    }
    PUMP_UNTIL(world.peer.loop, nobody_is_known());
}

/* The connection that it takes the place of is half dead, and at the limit there is none to spare.
 */
static void a_recovering_client_takes_its_own_place(void **state)
{
    (void)state;
    struct person_past past = {0};
    comes(&world, &alice[0]);
    is_let_in(&alice[0]);
    person_arrives(&world, &alice[1], "alice", &past);
    assert_true(person_open(&other, &alice[2]));
    person_asks_to_recover(&alice[2], "alice", NULL, &past);
    person_is_accepted(&alice[2], &past);
    assert_true(past.recovered);
    person_is_greeted(&alice[2], &past, "[\"user:alice\",\"global:all\"]");
    assert_true(alice[1].closed);
    assert_true(alice[1].open); /* still: it has not gone */
    assert_string_equal(told("gateway"), "1");
    assert_string_equal(told("another"), "1");
    for (unsigned i = 0; i < 3; i++) {
        person_leaves(&alice[i]);
    }
}

static void a_recovering_client_may_be_one_too_many(void **state)
{
    (void)state;
    struct person_past past = {0};
    person_arrives(&world, &alice[0], "alice", &past);
    person_leaves(&alice[0]);
    comes(&world, &alice[1]);
    is_let_in(&alice[1]);
    comes(&world, &alice[2]);
    is_let_in(&alice[2]);
    assert_true(person_open(&world, &alice[0]));
    person_asks_to_recover(&alice[0], "alice", NULL, &past);
    is_turned_away(&alice[0]);
    assert_int_equal(world.app->recovery.recovered, 0);
    for (unsigned i = 0; i < 3; i++) {
        person_leaves(&alice[i]);
    }
}

/* Dead ones that Redis still counts, of a gateway that is not overdue. */
static void a_gateway_that_is_heard_of_counts(void **state)
{
    (void)state;
    redis_peer_ask(&world.peer, "HSET guesslyfe:connections:alice another 2");
    comes(&world, &alice[0]);
    is_turned_away(&alice[0]);
    dies("another");
    person_leaves(&alice[0]);
    comes(&world, &alice[0]);
    is_let_in(&alice[0]);
    person_leaves(&alice[0]);
}

/* Member by member, as a session moves: first it is here, too, and then there no more. */
static void a_moved_client_takes_its_place_along(void **state)
{
    (void)state;
    struct app_identity identity = {0};
    comes(&world, &alice[0]);
    is_let_in(&alice[0]);
    comes(&world, &alice[1]);
    is_let_in(&alice[1]);
    assert_int_equal(room_name_make(ROOM_USER, STR("alice"), &identity.sub_room), OK);
    struct app_member *moved = app_member_new(other.app, NULL, &identity, false);
    assert_non_null(moved);
    assert_int_equal(app_permit_adopt(moved), OK);
    PUMP_UNTIL(world.peer.loop, strcmp(told("another"), "1") == 0);
    assert_string_equal(told("gateway"), "2");
    person_leaves(&alice[0]);
    PUMP_UNTIL(world.peer.loop, strcmp(told("gateway"), "1") == 0);
    app_permit_return(moved);
    app_permit_return(moved);
    app_member_free(moved);
    PUMP_UNTIL(world.peer.loop, strcmp(told("another"), "(nil)") == 0);
    person_leaves(&alice[1]);
}

static void without_a_limit_nobody_is_counted(void **state)
{
    (void)state;
    comes(&world, &alice[0]);
    person_hears_begin(&alice[0], ACCEPTED);
    assert_null(world.app->permits.users.buckets);
    person_hears_begin(&alice[0], "42[\"connected\"");
    person_leaves(&alice[0]);
}

/* It is let in, or its session ends: nobody waits for ever, and nothing is left. */
static void come_somehow(void *context)
{
    struct eio_session person = {0};
    (void)context;
    if (person_open(&world, &person)) {
        person_connects(&person, "alice", NULL);
        PUMP_UNTIL(world.peer.loop, person.closed || person.sent.len > 0);
    }
    person_leaves(&person);
    PUMP_UNTIL(world.peer.loop, nobody_is_known());
}

static void coming_without_memory(void **state)
{
    (void)state;
    failing_alloc_each(come_somehow, NULL);
}

#define IN_WORLD(test)  cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define IN_TWO(test)    cmocka_unit_test_setup_teardown(test, set_up_two, tear_down_two)
#define UNLIMITED(test) cmocka_unit_test_setup_teardown(test, set_up_without_limit, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(one_too_many_is_turned_away),
        IN_TWO(another_gateways_clients_count),
        IN_WORLD(a_place_that_becomes_free_is_taken),
        IN_WORLD(a_dead_gateways_clients_are_waited_for),
        IN_WORLD(whoever_leaves_while_it_waits_takes_nothing),
        IN_WORLD(all_is_told_again_when_redis_is_back),
        IN_WORLD(redis_that_refuses_is_no_lock),
        IN_TWO(a_recovering_client_takes_its_own_place),
        IN_WORLD(a_recovering_client_may_be_one_too_many),
        IN_WORLD(a_gateway_that_is_heard_of_counts),
        IN_TWO(a_moved_client_takes_its_place_along),
        UNLIMITED(without_a_limit_nobody_is_counted),
        IN_WORLD(coming_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
