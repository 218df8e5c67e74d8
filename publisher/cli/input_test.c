#include "publisher/cli/input.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A pipe and what reads from it. */
struct fixture {
    int in;
    struct input_lines lines;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    int ends[2];
    if (!f || pipe(ends) != 0) {
        return -1;
    }
    f->in = ends[1];
    input_lines_init(&f->lines, ends[0]);
    *state = f;
    return 0;
}

static void end_input(struct fixture *f)
{
    if (f->in >= 0) {
        close(f->in);
        f->in = -1;
    }
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    end_input(f);
    close(f->lines.fd);
    input_lines_fini(&f->lines);
    free(f);
    return 0;
}

static void feed(struct fixture *f, const char *text)
{
    assert_int_equal(write(f->in, text, strlen(text)), (ssize_t)strlen(text));
}

static void expect_line(struct fixture *f, const char *expected)
{
    struct str line;
    assert_int_equal(input_lines_next(&f->lines, &line), OK);
    assert_true(str_eq(line, str_from(expected)));
}

static void expect_end(struct fixture *f)
{
    struct str line;
    assert_int_equal(input_lines_next(&f->lines, &line), ERR_CLOSED);
}

static void gives_lines_as_they_come(void **state)
{
    struct fixture *f = *state;
    feed(f, "one\n\ntw");
    expect_line(f, "one");
    expect_line(f, "");
    feed(f, "o\nthree");
    expect_line(f, "two");
    end_input(f);
    expect_line(f, "three");
    expect_end(f);
    expect_end(f);
    assert_int_equal(f->lines.count, 4);
}

static void knows_whether_it_would_wait(void **state)
{
    struct fixture *f = *state;
    assert_true(input_lines_would_wait(&f->lines));
    feed(f, "one\ntwo\n");
    assert_false(input_lines_would_wait(&f->lines));
    expect_line(f, "one");
    assert_false(input_lines_would_wait(&f->lines));
    expect_line(f, "two");
    assert_true(input_lines_would_wait(&f->lines));
    end_input(f);
    assert_false(input_lines_would_wait(&f->lines));
    expect_end(f);
}

static void a_line_has_a_limit(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    for (size_t i = 0; i < INPUT_LINE_MAX + 10; i++) {
        putc('x', file);
    }
    fflush(file);
    rewind(file);
    struct input_lines lines;
    struct str line;
    input_lines_init(&lines, fileno(file));
    assert_int_equal(input_lines_next(&lines, &line), ERR_LIMIT);
    input_lines_fini(&lines);
    fclose(file);
}

static void reads_all_up_to_a_limit(void **state)
{
    struct fixture *f = *state;
    struct buf all = {0}, complaint = {0};
    feed(f, "0123456789");
    end_input(f);
    assert_int_equal(input_read_all(f->lines.fd, 4, &all, &complaint), OK);
    assert_string_equal(buf_cstr(&all), "0123");
    assert_int_equal(input_read_all(f->lines.fd, 100, &all, &complaint), OK);
    assert_string_equal(buf_cstr(&all), "0123456789");
    buf_fini(&all);
}

static void says_why_it_cannot_read(void **state)
{
    (void)state;
    struct buf all = {0}, complaint = {0};
    assert_int_equal(input_read_all(-1, 4, &all, &complaint), ERR_IO);
    assert_non_null(strstr(buf_cstr(&complaint), "standard input: "));
    buf_fini(&all);
    buf_fini(&complaint);
}

int main(void)
{
#define WITH_PIPE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_PIPE(gives_lines_as_they_come),       WITH_PIPE(knows_whether_it_would_wait),
        cmocka_unit_test(a_line_has_a_limit),      WITH_PIPE(reads_all_up_to_a_limit),
        cmocka_unit_test(says_why_it_cannot_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
