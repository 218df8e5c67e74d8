#include "util/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void ids_use_the_url_safe_alphabet(void **state)
{
    (void)state;
    char id[2000];
    rand_id(id, sizeof id);
    for (size_t i = 0; i < sizeof id; i++) {
        assert_non_null(
            strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", id[i]));
    }
}

static void ids_do_not_repeat(void **state)
{
    (void)state;
    char a[20], b[20];
    for (int i = 0; i < 1000; i++) {
        rand_id(a, sizeof a);
        rand_id(b, sizeof b);
        assert_memory_not_equal(a, b, sizeof a);
    }
}

static void a_forked_child_draws_other_bytes(void **state)
{
    (void)state;
    int ends[2];
    char ours[16], theirs[16];
    rand_bytes(ours, sizeof ours); /* so that the pool has something left to share */
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        rand_bytes(theirs, sizeof theirs);
        _exit(write(ends[1], theirs, sizeof theirs) == sizeof theirs ? 0 : 1);
    }
    rand_bytes(ours, sizeof ours);
    assert_int_equal(read(ends[0], theirs, sizeof theirs), sizeof theirs);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_memory_not_equal(ours, theirs, sizeof ours);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_use_the_url_safe_alphabet),
        cmocka_unit_test(ids_do_not_repeat),
        cmocka_unit_test(a_forked_child_draws_other_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
