#include "loop/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "failing_alloc.h"

enum { MANY = 200 };

struct member {
    struct world *world;
    int ours, theirs;
    unsigned told; /* times */
    unsigned ready;
    struct loop_reap reap;
};

struct world {
    struct loop *loop;
    struct loop_sockets *sockets;
    struct member *members[MANY];
    struct loop_task task;
    unsigned told, tasks;
    void (*act)(struct world *world); /* once, when a member is told of */
};

static void on_ready(void *owner_of_socket, unsigned ready)
{
    struct member *member = owner_of_socket;
    struct world *world = member->world;
    member->told++;
    member->ready |= ready;
    world->told++;
    if (world->act) {
        void (*act)(struct world *) = world->act;
        world->act = NULL;
        act(world);
    }
}

static void on_task(struct loop_task *task)
{
    container_of(task, struct world, task)->tasks++;
}

static void open_world(struct world *world, uint64_t share_us)
{
    *world = (struct world){.loop = loop_new()};
    assert_non_null(world->loop);
    world->sockets = loop_sockets_new(world->loop, share_us, on_ready);
    assert_non_null(world->sockets);
    loop_task_init(&world->task, on_task);
}

static struct member *make(struct world *world, unsigned at)
{
    struct member *member = calloc(1, sizeof *member);
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    *member = (struct member){.world = world, .ours = fds[0], .theirs = fds[1]};
    world->members[at] = member;
    return member;
}

static void join(struct member *member)
{
    assert_int_equal(loop_sockets_add(member->world->sockets, member->ours, member), OK);
}

static struct member *add(struct world *world, unsigned at)
{
    struct member *member = make(world, at);
    join(member);
    return member;
}

static void close_world(struct world *world)
{
    loop_sockets_free(world->sockets);
    for (unsigned i = 0; i < MANY; i++) {
        if (world->members[i]) {
            close(world->members[i]->ours);
            close(world->members[i]->theirs);
            free(world->members[i]);
        }
    }
    loop_free(world->loop);
}

static void turn(struct world *world)
{
    assert_int_equal(loop_turn(world->loop, 0), OK);
}

static void say(struct member *member)
{
    assert_int_equal(write(member->theirs, "x", 1), 1);
}

static void expect_told(struct member *member, unsigned ready)
{
    turn(member->world);
    assert_int_equal(member->ready, ready);
    assert_int_equal(member->told, ready != 0);
    member->told = member->ready = 0;
}

static void what_can_be_read_is_told_once(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1000);
    struct member *member = add(&world, 0);
    expect_told(member, 0);
    say(member);
    expect_told(member, LOOP_READABLE);
    expect_told(member, 0); /* though nobody has read it */
    say(member);
    expect_told(member, LOOP_READABLE);
    close_world(&world);
}

static void what_came_before_it_was_added_is_told(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1000);
    struct member *member = make(&world, 0);
    say(member);
    join(member);
    expect_told(member, LOOP_READABLE);
    close_world(&world);
}

static void the_end_is_told_with_what_stands_before_it(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1000);
    struct member *member = add(&world, 0);
    say(member);
    shutdown(member->theirs, SHUT_WR);
    expect_told(member, LOOP_READABLE | LOOP_ENDED);
    close(member->theirs);
    expect_told(member, LOOP_READABLE | LOOP_WRITABLE | LOOP_ENDED);
    close_world(&world);
}

/* Writes until the socket is full. */
static void fill(struct member *member)
{
    static char bytes[65536];
    while (write(member->ours, bytes, sizeof bytes) > 0) {
    }
    assert_int_equal(errno, EAGAIN);
}

static void empty(struct member *member)
{
    static char bytes[65536];
    while (read(member->theirs, bytes, sizeof bytes) > 0) {
    }
}

static void room_for_writing_is_told_to_those_who_wait_for_it(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1000);
    struct member *member = add(&world, 0);
    fill(member);
    empty(member);
    expect_told(member, 0);
    assert_int_equal(loop_sockets_await_writable(world.sockets, member->ours, member), OK);
    expect_told(member, LOOP_WRITABLE); /* it is so already */
    fill(member);
    expect_told(member, 0);
    empty(member);
    expect_told(member, LOOP_WRITABLE);
    say(member);
    expect_told(member, LOOP_WRITABLE | LOOP_READABLE);
    close_world(&world);
}

static void one_turn_tells_no_longer_than_its_share(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 0); /* one batch */
    for (unsigned i = 0; i < MANY; i++) {
        say(add(&world, i));
    }
    unsigned turns = 0;
    while (world.told < MANY) {
        unsigned before = world.told;
        assert_int_equal(loop_turn(world.loop, 5000), OK); /* does not wait */
        assert_in_range(world.told - before, 1, MANY / 4);
        turns++;
    }
    assert_in_range(turns, 4, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(world.members[i]->told, 1);
    }
    close_world(&world);
}

static void a_long_share_tells_all_in_one_turn(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 5 * 1000 * 1000);
    for (unsigned i = 0; i < MANY; i++) {
        say(add(&world, i));
    }
    turn(&world);
    assert_int_equal(world.told, MANY);
    close_world(&world);
}

static void defer(struct world *world)
{
    loop_defer(world->loop, &world->task);
}

/* So that what a callback puts off to the end of the turn happens before the rest is told. */
static void tasks_run_between_the_shares(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 0);
    for (unsigned i = 0; i < MANY; i++) {
        say(add(&world, i));
    }
    world.act = defer;
    turn(&world);
    assert_int_equal(world.tasks, 1);
    assert_in_range(world.told, 1, MANY / 4);
    close_world(&world);
}

static void free_member(struct loop_reap *reap)
{
    free(container_of(reap, struct member, reap));
}

/* The first that is told closes the second, which is in the same batch. */
static void close_the_other(struct world *world)
{
    unsigned at = world->members[0]->told ? 1 : 0;
    struct member *member = world->members[at];
    assert_int_equal(member->told, 0);
    close(member->ours);
    close(member->theirs);
    loop_reap(world->loop, &member->reap, free_member);
    world->members[at] = NULL;
}

static void who_closes_another_keeps_it_until_the_turn_ends(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 0);
    say(add(&world, 0));
    say(add(&world, 1));
    world.act = close_the_other;
    turn(&world); /* the sanitizer sees a stale owner */
    assert_in_range(world.told, 1, 2);
    unsigned before = world.told;
    turn(&world);
    assert_int_equal(world.told, before);
    close_world(&world);
}

static void what_is_no_socket_is_refused(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 0);
    int file = open("/dev/null", O_RDONLY);
    assert_int_equal(loop_sockets_add(world.sockets, file, &world), ERR_NOMEM);
    assert_int_equal(loop_sockets_await_writable(world.sockets, file, &world), ERR_IO);
    close(file);
    close_world(&world);
}

static void try_to_open(void *context)
{
    loop_sockets_free(loop_sockets_new(context, 0, on_ready));
}

static void opening_survives_any_failing_allocation(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    failing_alloc_each(try_to_open, loop);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_can_be_read_is_told_once),
        cmocka_unit_test(what_came_before_it_was_added_is_told),
        cmocka_unit_test(the_end_is_told_with_what_stands_before_it),
        cmocka_unit_test(room_for_writing_is_told_to_those_who_wait_for_it),
        cmocka_unit_test(one_turn_tells_no_longer_than_its_share),
        cmocka_unit_test(a_long_share_tells_all_in_one_turn),
        cmocka_unit_test(tasks_run_between_the_shares),
        cmocka_unit_test(who_closes_another_keeps_it_until_the_turn_ends),
        cmocka_unit_test(what_is_no_socket_is_refused),
        cmocka_unit_test(opening_survives_any_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
