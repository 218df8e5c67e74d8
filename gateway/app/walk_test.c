/* Walks over members that are nothing but places in the list. */
#include "app/walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "app/member.h"

enum { MEMBERS = 9000 };

struct stage {
    struct loop *loop;
    struct app_walks walks;
    struct app_member *members;
    unsigned visits[MEMBERS + 1];
};

struct trip {
    struct app_walk walk;
    struct stage *stage;
    unsigned visited, done, in_one_turn;
    bool ends;  /* it ends whom it visits */
    bool again; /* it begins again when it is done */
};

static bool visit(struct app_walk *walk, struct app_member *member)
{
    struct trip *trip = container_of(walk, struct trip, walk);
    trip->visited++;
    trip->stage->visits[member - trip->stage->members]++;
    if (trip->ends) {
        app_walks_remove(&trip->stage->walks, member);
    }
    return trip->ends;
}

static void done(struct app_walk *walk)
{
    struct trip *trip = container_of(walk, struct trip, walk);
    trip->done++;
    if (trip->again) {
        trip->again = false;
        app_walk_begin(walk, &trip->stage->walks);
    }
}

static const struct app_walk_ops ops = {visit, done};

static int set_up(void **state)
{
    struct stage *stage = *state = calloc(1, sizeof *stage);
    assert_non_null(stage);
    stage->loop = loop_new();
    stage->members = calloc(MEMBERS + 1, sizeof *stage->members);
    assert_non_null(stage->loop);
    assert_non_null(stage->members);
    app_walks_init(&stage->walks, stage->loop);
    for (unsigned i = 0; i <= MEMBERS; i++) {
        list_init(&stage->members[i].all);
    }
    for (unsigned i = 0; i < MEMBERS; i++) {
        app_walks_add(&stage->walks, &stage->members[i]);
    }
    return 0;
}

static int tear_down(void **state)
{
    struct stage *stage = *state;
    loop_free(stage->loop);
    free(stage->members);
    free(stage);
    return 0;
}

static void begin(struct stage *stage, struct trip *trip)
{
    *trip = (struct trip){.stage = stage};
    app_walk_init(&trip->walk, &ops);
    app_walk_begin(&trip->walk, &stage->walks);
}

static void turn(struct stage *stage)
{
    assert_int_equal(loop_turn(stage->loop, 0), OK);
}

static void finish(struct stage *stage, struct trip *trip)
{
    for (unsigned turns = 0; !trip->done; turns++) {
        unsigned before = trip->visited;
        assert_true(turns < 2000);
        turn(stage);
        trip->in_one_turn =
            trip->visited - before > trip->in_one_turn ? trip->visited - before : trip->in_one_turn;
    }
}

static void all_are_visited_once_in_slices(void **state)
{
    struct stage *stage = *state;
    struct trip trip;
    begin(stage, &trip);
    assert_int_equal(trip.visited, 0); /* never from inside */
    finish(stage, &trip);
    assert_int_equal(trip.visited, MEMBERS);
    assert_int_equal(trip.done, 1);
    assert_in_range(trip.in_one_turn, 100, 2000);
    for (unsigned i = 0; i < MEMBERS; i++) {
        assert_int_equal(stage->visits[i], 1);
    }
}

static void ending_members_takes_more_turns(void **state)
{
    struct stage *stage = *state;
    struct trip trip;
    begin(stage, &trip);
    trip.ends = true;
    finish(stage, &trip);
    assert_int_equal(trip.visited, MEMBERS);
    assert_in_range(trip.in_one_turn, 1, 100);
    assert_true(list_empty(&stage->walks.members));
}

static void nobody_is_visited_in_an_empty_house(void **state)
{
    struct stage *stage = *state;
    struct trip trip;
    for (unsigned i = 0; i < MEMBERS; i++) {
        app_walks_remove(&stage->walks, &stage->members[i]);
    }
    begin(stage, &trip);
    finish(stage, &trip);
    assert_int_equal(trip.visited, 0);
}

/* Whoever goes between two slices, the next one to be visited above all. */
static void members_go_and_come_meanwhile(void **state)
{
    struct stage *stage = *state;
    struct trip trip, other;
    begin(stage, &trip);
    begin(stage, &other);
    turn(stage);
    assert_in_range(trip.visited, 1, MEMBERS - 1);
    unsigned next = trip.visited;
    for (unsigned i = next; i < next + 10; i++) {
        app_walks_remove(&stage->walks, &stage->members[i]);
    }
    app_walks_remove(&stage->walks, &stage->members[0]);
    app_walks_remove(&stage->walks, &stage->members[MEMBERS - 1]);
    app_walks_add(&stage->walks, &stage->members[MEMBERS]);
    finish(stage, &trip);
    finish(stage, &other);
    assert_int_equal(trip.visited, MEMBERS - 11 + 1);
    assert_int_equal(other.visited, MEMBERS - 11 + 1);
    assert_int_equal(stage->visits[next], 0);
    assert_int_equal(stage->visits[MEMBERS], 2);
}

static void one_that_is_begun_again_visits_all(void **state)
{
    struct stage *stage = *state;
    struct trip trip;
    begin(stage, &trip);
    turn(stage);
    unsigned before = trip.visited;
    app_walk_begin(&trip.walk, &stage->walks);
    finish(stage, &trip);
    assert_int_equal(trip.visited, before + MEMBERS);
    trip.again = true;
    trip.visited = trip.done = 0;
    app_walk_begin(&trip.walk, &stage->walks);
    finish(stage, &trip);
    trip.done = 0;
    finish(stage, &trip);
    assert_int_equal(trip.visited, 2 * MEMBERS);
}

static void one_that_was_ended_visits_nobody(void **state)
{
    struct stage *stage = *state;
    struct trip trip;
    begin(stage, &trip);
    turn(stage);
    unsigned before = trip.visited;
    app_walk_end(&trip.walk);
    app_walk_end(&trip.walk);
    turn(stage);
    assert_int_equal(trip.visited, before);
    assert_int_equal(trip.done, 0);
    assert_true(list_empty(&stage->walks.walks));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_are_visited_once_in_slices, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ending_members_takes_more_turns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_is_visited_in_an_empty_house, set_up, tear_down),
        cmocka_unit_test_setup_teardown(members_go_and_come_meanwhile, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_begun_again_visits_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_was_ended_visits_nobody, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
