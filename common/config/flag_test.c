#include "config/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct config_option options[] = {
    {.env = "T_PORT", .type = CONFIG_NUMBER},
    {.env = "T_HOST", .type = CONFIG_STRING},
    {.env = "T_SECRET", .type = CONFIG_STRING, .flags = CONFIG_SECRET},
    {.env = "T_LEVEL", .type = CONFIG_BOOL},
};
static const struct config_table table = {options, ARRAY_LEN(options)};

static void finds_options_by_their_flags(void **state)
{
    (void)state;
    bool is_file = true;
    assert_ptr_equal(config_find_flag(table, STR("t-host"), &is_file), &options[1]);
    assert_false(is_file);
    assert_ptr_equal(config_find_flag(table, STR("t-secret-file"), &is_file), &options[2]);
    assert_true(is_file);
    assert_null(config_find_flag(table, STR("t-host-file"), &is_file));
    assert_null(config_find_flag(table, STR("T_HOST"), &is_file));
    assert_null(config_find_flag(table, STR(""), &is_file));
}

static void counts_the_steps_between_words(void **state)
{
    (void)state;
    assert_int_equal(config_distance(STR("port"), STR("port")), 0);
    assert_int_equal(config_distance(STR("port"), STR("prot")), 1);
    assert_int_equal(config_distance(STR("port"), STR("ports")), 1);
    assert_int_equal(config_distance(STR("port"), STR("pot")), 1);
    assert_int_equal(config_distance(STR("port"), STR("part")), 1);
    assert_int_equal(config_distance(STR(""), STR("port")), 4);
    assert_int_equal(config_distance(STR("kitten"), STR("sitting")), 3);
    char word[CONFIG_FLAG_MAX];
    memset(word, 'a', sizeof word);
    assert_int_equal(config_distance(str_range(word, 63), STR("a")), 62);
    assert_int_equal(config_distance(str_range(word, 64), STR("a")), CONFIG_FLAG_MAX);
}

static void suggests_what_is_near(void **state)
{
    (void)state;
    static const char *const near[][2] = {{"t-prot", "t-port"},
                                          {"t_port", "t-port"},
                                          {"secret", "t-secret"},
                                          {"hepl", "help"},
                                          {"versoin", "version"},
                                          {"check-confg", "check-config"},
                                          {"t-lvl", NULL},
                                          {"p", NULL},
                                          {"", NULL},
                                          {"t-levels", "t-level"}};
    for (size_t i = 0; i < ARRAY_LEN(near); i++) {
        char flag[CONFIG_FLAG_MAX] = "";
        bool found = config_nearest_flag(table, str_from(near[i][0]), flag);
        assert_int_equal(found, near[i][1] != NULL);
        assert_string_equal(flag, near[i][1] ? near[i][1] : "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_options_by_their_flags),
        cmocka_unit_test(counts_the_steps_between_words),
        cmocka_unit_test(suggests_what_is_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
