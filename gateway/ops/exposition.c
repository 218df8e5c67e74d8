#include "ops/exposition.h"

void exposition_family(struct exposition *text, const char *type, const char *name,
                       const char *label, const char *help)
{
    text->family = name;
    text->label = label;
    text->err = text->err ? text->err
                          : buf_printf(text->out,
                                       "# HELP " OPS_METRICS_PREFIX "%s %s\n"
                                       "# TYPE " OPS_METRICS_PREFIX "%s %s\n",
                                       name, help, name, type);
}

void exposition_number(struct exposition *text, uint64_t number)
{
    text->err = text->err ? text->err
                          : buf_printf(text->out, OPS_METRICS_PREFIX "%s %llu\n", text->family,
                                       (unsigned long long)number);
}

void exposition_seconds(struct exposition *text, uint64_t ms)
{
    if (ms != UINT64_MAX && !text->err) {
        text->err = buf_printf(text->out, OPS_METRICS_PREFIX "%s %llu.%03u\n", text->family,
                               (unsigned long long)(ms / 1000), (unsigned)(ms % 1000));
    }
}

void exposition_labelled(struct exposition *text, const char *value, uint64_t number)
{
    text->err = text->err
                    ? text->err
                    : buf_printf(text->out, OPS_METRICS_PREFIX "%s{%s=\"%s\"} %llu\n", text->family,
                                 text->label, value, (unsigned long long)number);
}

void exposition_all_labelled(struct exposition *text, const char *(*name_of)(size_t),
                             const uint64_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        exposition_labelled(text, name_of(i), numbers[i]);
    }
}
