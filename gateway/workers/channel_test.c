#include "workers/channel.h"

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
#include "ops/server.h"

/* One end as a channel, the other one in the hands of the test. */
struct world {
    struct loop *loop;
    struct channel *channel;
    int peer;
    size_t frames, ends;
    struct channel_frame last;
    struct buf body;
    bool close_on_frame;
};

static void on_frame(void *owner, const struct channel_frame *frame, struct str body)
{
    struct world *world = owner;
    world->frames++;
    world->last = *frame;
    buf_clear(&world->body);
    assert_int_equal(buf_append(&world->body, body), OK);
    if (world->close_on_frame) {
        channel_close(world->channel);
        world->channel = NULL;
    }
}

static void on_end(void *owner)
{
    struct world *world = owner;
    world->ends++;
    channel_close(world->channel);
    world->channel = NULL;
}

static const struct channel_ops ops = {on_frame, on_end};

static int set_up(void **state)
{
    static struct world world;
    int ends[2];
    world = (struct world){.loop = loop_new()};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    world.channel = channel_open(world.loop, ends[0], &ops, &world);
    assert_non_null(world.channel);
    world.peer = ends[1];
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    channel_close(world->channel);
    close(world->peer);
    buf_fini(&world->body);
    loop_free(world->loop);
    return 0;
}

static void turns(struct world *world, int count)
{
    while (count-- > 0) {
        assert_int_equal(loop_turn(world->loop, 0), OK);
    }
}

static void say(struct world *world, const void *bytes, size_t len)
{
    assert_int_equal(write(world->peer, bytes, len), len);
}

static void a_frame_comes_byte_by_byte(void **state)
{
    struct world *world = *state;
    struct {
        struct channel_frame frame;
        char body[5];
    } whole = {{.serial = 7, .question = OPS_STATS, .status = 200, .len = 5}, "hello"};
    size_t len = sizeof whole.frame + sizeof whole.body;
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(world->frames, 0);
        say(world, (const char *)&whole + i, 1);
        turns(world, 1);
    }
    assert_int_equal(world->frames, 1);
    assert_memory_equal(&world->last, &whole.frame, sizeof whole.frame);
    assert_string_equal(buf_cstr(&world->body), "hello");
}

static void several_frames_come_at_once(void **state)
{
    struct world *world = *state;
    const struct channel_frame frames[] = {{.serial = 1}, {.serial = 2}, {.serial = 3}};
    say(world, frames, sizeof frames);
    turns(world, 1);
    assert_int_equal(world->frames, 3);
    assert_int_equal(world->last.serial, 3);
}

static void it_may_be_closed_between_two_frames(void **state)
{
    struct world *world = *state;
    const struct channel_frame frames[] = {{.serial = 1}, {.serial = 2}};
    world->close_on_frame = true;
    say(world, frames, sizeof frames);
    turns(world, 2);
    assert_int_equal(world->frames, 1);
    assert_int_equal(world->ends, 0);
}

static void what_is_sent_is_a_frame(void **state)
{
    struct world *world = *state;
    struct channel_frame frame;
    char body[3];
    assert_int_equal(channel_send(world->channel,
                                  (struct channel_frame){.serial = 9, .status = 503}, STR("why")),
                     OK);
    turns(world, 1);
    assert_int_equal(read(world->peer, &frame, sizeof frame), sizeof frame);
    assert_int_equal(read(world->peer, body, sizeof body), sizeof body);
    assert_int_equal(frame.serial, 9);
    assert_int_equal(frame.status, 503);
    assert_int_equal(frame.len, 3);
    assert_memory_equal(body, "why", 3);
}

static void a_peer_that_goes_is_told_once(void **state)
{
    struct world *world = *state;
    shutdown(world->peer, SHUT_RDWR);
    turns(world, 3);
    assert_int_equal(world->ends, 1);
}

static void what_is_too_long_is_the_end(void **state)
{
    struct world *world = *state;
    const struct channel_frame frame = {.serial = 1, .len = OPS_ANSWER_MAX + 1};
    say(world, &frame, sizeof frame);
    turns(world, 1);
    assert_int_equal(world->frames, 0);
    assert_int_equal(world->ends, 1);
}

static void open_and_send(void *context)
{
    struct world *world = context;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    struct channel *channel = channel_open(world->loop, ends[0], &ops, world);
    if (channel) {
        enum err err = channel_send(channel, (struct channel_frame){.serial = 1}, STR("body"));
        assert_true(!err || err == ERR_NOMEM);
    }
    channel_close(channel);
    turns(world, 2);
    /* Whatever failed, the descriptor was taken, and is closed. */
    char bytes[64];
    while (read(ends[1], bytes, sizeof bytes) > 0) {
    }
    close(ends[1]);
}

static void opening_survives_any_failing_allocation(void **state)
{
    failing_alloc_each(open_and_send, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_frame_comes_byte_by_byte, set_up, tear_down),
        cmocka_unit_test_setup_teardown(several_frames_come_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_may_be_closed_between_two_frames, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_sent_is_a_frame, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_peer_that_goes_is_told_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_too_long_is_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(opening_survives_any_failing_allocation, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
