#include "publisher/cli/verb.h"

#include <string.h>

#include "publisher/settings.h"
#include "util/attr.h"

enum { HELP_COLUMN = 28, HELP_WIDTH = 80, SUMMARY_COLUMN = 53 };

/* In the order of --help. */
static const struct verb *const verbs[] = {
    &verb_events, &verb_describe, &verb_fleet,       &verb_room, &verb_user,   &verb_disconnect,
    &verb_revoke, &verb_unrevoke, &verb_revocations, &verb_tail, &verb_doctor, &verb_token,
};

const struct verb *verb_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (str_eq(name, str_from(verbs[i]->name))) {
            return verbs[i];
        }
    }
    return NULL;
}

const struct verb_flag *verb_find_flag(const struct verb *verb, struct str name)
{
    for (size_t i = 0; i < verb->flag_count; i++) {
        if (str_eq(name, str_from(verb->flags[i].name))) {
            return &verb->flags[i];
        }
    }
    return NULL;
}

struct config_table verb_settings(const struct verb *verb)
{
    return verb && verb->settings ? verb->settings() : publisher_settings_table();
}

/* --- Help --- */

/* Columns that UTF-8 takes, of what is in our texts. */
static int width_of(struct str text)
{
    int width = 0;
    for (size_t i = 0; i < text.len; i++) {
        width += (text.ptr[i] & 0xc0) != 0x80;
    }
    return width;
}

void verbs_print_summaries(FILE *out)
{
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        const struct verb *verb = verbs[i];
        char head[128];
        snprintf(head, sizeof head, "  guesslyfe-publish %s %s", verb->name, verb->operands);
        int gap = SUMMARY_COLUMN - width_of(str_from(head));
        fprintf(out, "%s%*s%s\n", head, gap > 2 ? gap : 2, "", verb->summary);
    }
}

/* Words in lines from a column on, of which `used` are taken in the first. */
static void print_words(struct str text, int column, int used, FILE *out)
{
    struct str word;
    while (str_split(&text, ' ', &word)) {
        bool starts = used <= column;
        if (!starts && used + 1 + width_of(word) > HELP_WIDTH) {
            fputc('\n', out);
            used = 0;
            starts = true;
        }
        int gap = starts ? column - used : 1;
        fprintf(out, "%*s" STR_FMT, gap, "", STR_ARG(word));
        used += gap + width_of(word);
    }
    fputc('\n', out);
}

static void print_flag(const struct verb_flag *flag, FILE *out)
{
    char head[128];
    snprintf(head, sizeof head, "  --%s%s%s%s%s", flag->name, flag->value ? " " : "",
             flag->may_be_alone ? "[" : "", flag->value ? flag->value : "",
             flag->may_be_alone ? "]" : "");
    int used = width_of(str_from(head));
    fputs(head, out);
    if (used + 2 > HELP_COLUMN) {
        fputc('\n', out);
        used = 0;
    }
    print_words(str_from(flag->help), HELP_COLUMN, used, out);
}

static void print_details(const char *details, FILE *out)
{
    struct str rest = str_from(details), paragraph;
    while (str_split(&rest, '\n', &paragraph)) {
        if (str_starts(paragraph, STR(" "))) {
            fprintf(out, STR_FMT "\n", STR_ARG(paragraph)); /* laid out already */
        } else {
            print_words(paragraph, 0, 0, out);
        }
    }
}

void verb_print_help(const struct verb *verb, FILE *out)
{
    fprintf(out, "Usage: guesslyfe-publish %s [OPTION…]%s%s\n\n", verb->name,
            *verb->operands ? " " : "", verb->operands);
    print_details(verb->details, out);
    if (verb->flag_count > 0) {
        fputs("\nOptions:\n", out);
    }
    for (size_t i = 0; i < verb->flag_count; i++) {
        print_flag(&verb->flags[i], out);
    }
    if (verb->settings) {
        config_print_help(verb->settings(), out);
    } else {
        fputs("\nSettings and exit status: guesslyfe-publish --help\n", out);
    }
}

/* --- The man page --- */

static void print_roff(struct str text, FILE *out)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool starts = i == 0 && (c == '.' || c == '\'');
        fputs(starts ? "\\&" : c == '-' || c == '\\' ? "\\" : "", out);
        fputc(c == '\\' ? 'e' : c, out);
    }
}

static void print_man_details(const char *details, FILE *out)
{
    struct str rest = str_from(details), line;
    for (bool laid_out = false; str_split(&rest, '\n', &line);) {
        bool is_laid_out = str_starts(line, STR(" "));
        if (is_laid_out != laid_out) {
            fputs(is_laid_out ? ".nf\n" : ".fi\n", out);
            laid_out = is_laid_out;
        }
        fputs(line.len == 0 ? ".PP" : "", out);
        print_roff(line, out);
        fputs(!rest.ptr && laid_out ? "\n.fi\n" : "\n", out);
    }
}

static void print_man_flag(const struct verb_flag *flag, FILE *out)
{
    fputs(".TP\n.BI \\-\\-", out);
    print_roff(str_from(flag->name), out);
    if (flag->value) {
        fprintf(out, " \" %s%s%s\"", flag->may_be_alone ? "[" : "", flag->value,
                flag->may_be_alone ? "]" : "");
    }
    fputc('\n', out);
    print_roff(str_from(flag->help), out);
    fputs(".\n", out);
}

void verbs_print_man(FILE *out)
{
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        const struct verb *verb = verbs[i];
        fprintf(out, ".SS %s%s%s\n", verb->name, *verb->operands ? " " : "", verb->operands);
        print_man_details(verb->details, out);
        for (size_t k = 0; k < verb->flag_count; k++) {
            print_man_flag(&verb->flags[k], out);
        }
        if (verb->settings) {
            config_print_man(verb->settings(), out);
        }
    }
}
