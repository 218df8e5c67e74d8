/* The options of a program, by one table: how they are read, what is allowed, and what --help says.
 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stddef.h>

struct option_row {
    const char *name;  /* without its dashes */
    const char *value; /* what --help calls its value; NULL for a flag */
    unsigned max;      /* of a number, which is 1 at least; 0 for a text or a flag */
    size_t offset;     /* in the program's struct: of an unsigned, a const char * or a bool */
    const char *help;
};

struct options {
    const char *head; /* of --help: lines before the options, and after them */
    const char *foot;
    const struct option_row *rows;
    size_t count; /* OPTIONS_MAX at most */
};

enum { OPTIONS_MAX = 32 };

/*
 * Reads the options into the program's struct; returns the index of the first argument that is not
 * one. --help, an unknown option and a value out of range end the program.
 */
int options_read(const struct options *options, int argc, char **argv, void *ret_values);
/* Prints the usage and ends the program with 2. */
_Noreturn void options_misused(const struct options *options);

#endif
