/*
 * The options of our programs, as the documentation needs them: everything in docs/ and the man
 * pages that could go stale is printed from the tables that the programs themselves read.
 *
 * usage: print_options PROGRAM markdown|man
 *        print_options guesslyfe-publish verbs
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "options.h"
#include "publisher/cli/verb.h"
#include "publisher/settings.h"
#include "util/attr.h"

static const struct {
    const char *name;
    struct config_table (*table)(void);
} programs[] = {
    {"guesslyfe-gateway", gateway_option_table},
    {"guesslyfe-publish", publisher_settings_table},
};

static const struct {
    const char *name;
    void (*print)(struct config_table table, FILE *out);
} forms[] = {
    {"markdown", config_print_markdown},
    {"man", config_print_man},
};

static int finish(void)
{
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "guesslyfe-publish") == 0 && strcmp(argv[2], "verbs") == 0) {
        verbs_print_man(stdout);
        return finish();
    }
    for (size_t p = 0; argc == 3 && p < ARRAY_LEN(programs); p++) {
        for (size_t f = 0; f < ARRAY_LEN(forms); f++) {
            if (strcmp(argv[1], programs[p].name) == 0 && strcmp(argv[2], forms[f].name) == 0) {
                forms[f].print(programs[p].table(), stdout);
                return finish();
            }
        }
    }
    fputs("usage: print_options PROGRAM markdown|man, or guesslyfe-publish verbs\n", stderr);
    return EXIT_FAILURE;
}
