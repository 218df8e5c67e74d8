#include "workers/supervisor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log/log.h"
#include "net/port.h"
#include "net/server.h"

/* What the workers, which are processes, tell the test. */
struct diary {
    atomic_int lives;
    atomic_int stops;
    atomic_int hangups;
    atomic_int ports[2], ops_ports[2];
};

static struct diary *diary;

static int set_up(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, NULL, NULL);
    diary = mmap(NULL, sizeof *diary, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(diary != MAP_FAILED);
    fflush(stdout); /* or the workers print it too */
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    /* Nobody is left. */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    munmap(diary, sizeof *diary);
    return 0;
}

static int run(unsigned workers, uint16_t port,
               int (*work)(void *owner, const struct worker_place *place))
{
    const struct supervisor_options options = {.host = "127.0.0.1",
                                               .ops_host = "127.0.0.1",
                                               .port = port,
                                               .workers = workers,
                                               .version = "0",
                                               .work = work};
    return supervisor_run(&options);
}

/* --- Workers --- */

static void tell_that_it_serves(const struct worker_place *place)
{
    const struct channel_frame frame = {.serial = 0};
    if (write(place->channel, &frame, sizeof frame) != (ssize_t)sizeof frame) {
        abort();
    }
}

/* Signals are held back, as they are until a gateway's loop runs. */
static int next_signal(void)
{
    sigset_t set;
    int number = 0;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigwait(&set, &number);
    return number;
}

static int fail_to_start(void *owner, const struct worker_place *place)
{
    (void)owner;
    diary->lives++;
    return place->index == 1 ? EXIT_FAILURE : next_signal();
}

/* The last one to serve ends all. */
static int serve_until_stopped(void *owner, const struct worker_place *place)
{
    (void)owner;
    diary->ports[place->index] = place->port;
    diary->ops_ports[place->index] = place->ops_port;
    tell_that_it_serves(place);
    if (++diary->lives == 2) {
        kill(getppid(), SIGTERM);
    }
    diary->stops += next_signal() == SIGTERM;
    return 0;
}

/* Ends by itself twice. */
static int end_early(void *owner, const struct worker_place *place)
{
    (void)owner;
    tell_that_it_serves(place);
    if (++diary->lives < 3) {
        return 3;
    }
    kill(getppid(), SIGTERM);
    diary->stops += next_signal() == SIGTERM;
    return 0;
}

/* The second life comes after a SIGHUP to the first. */
static int hear_hangups(void *owner, const struct worker_place *place)
{
    (void)owner;
    signal(SIGHUP, SIG_DFL); /* as good as a handler: it is not dropped */
    tell_that_it_serves(place);
    if (++diary->lives == 1) {
        kill(getppid(), SIGHUP);
    }
    diary->hangups += next_signal() == SIGHUP;
    if (diary->lives == 2) {
        kill(getppid(), SIGTERM);
        diary->stops += next_signal() == SIGTERM;
    }
    return 0;
}

/* --- Tests --- */

static void what_cannot_start_ends_all(void **state)
{
    (void)state;
    assert_int_equal(run(2, 0, fail_to_start), EXIT_FAILURE);
    assert_int_equal(diary->lives, 2);
}

static void a_port_that_is_taken_is_found_before_anybody_is_forked(void **state)
{
    (void)state;
    struct net_port port;
    struct buf complaint;
    buf_init(&complaint, 0);
    struct net_server_options options = {.host = "127.0.0.1", .backlog = 1, .reuse_port = true};
    assert_int_equal(net_port_listen(&port, &options, &complaint), OK);
    assert_int_equal(run(2, port.number, fail_to_start), EXIT_FAILURE);
    assert_int_equal(diary->lives, 0);
    net_port_close(&port);
    buf_fini(&complaint);
}

static void a_signal_ends_all(void **state)
{
    (void)state;
    assert_int_equal(run(2, 0, serve_until_stopped), EXIT_SUCCESS);
    assert_int_equal(diary->stops, 2);
    assert_int_not_equal(diary->ports[0], 0);
    assert_int_equal(diary->ports[0], diary->ports[1]);
    assert_int_not_equal(diary->ops_ports[0], 0);
    assert_int_equal(diary->ops_ports[0], diary->ops_ports[1]);
}

static void who_ends_early_is_started_again(void **state)
{
    (void)state;
    assert_int_equal(run(1, 0, end_early), EXIT_SUCCESS);
    assert_int_equal(diary->lives, 3);
    assert_int_equal(diary->stops, 1);
}

/* So that it has read the settings that the others have. */
static void a_newcomer_hears_of_an_earlier_hangup(void **state)
{
    (void)state;
    assert_int_equal(run(1, 0, hear_hangups), EXIT_SUCCESS);
    assert_int_equal(diary->lives, 2);
    assert_int_equal(diary->hangups, 2);
    assert_int_equal(diary->stops, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_cannot_start_ends_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_port_that_is_taken_is_found_before_anybody_is_forked,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_signal_ends_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_ends_early_is_started_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_newcomer_hears_of_an_earlier_hangup, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
