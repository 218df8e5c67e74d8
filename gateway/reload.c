#include "reload.h"

#include <stdlib.h>
#include <string.h>

#include "log/log.h"
#include "util/rand.h"

static enum err load(int argc, char **argv, struct gateway_settings *settings, char **ret_strings,
                     struct buf *complaint)
{
    int rest = 0;
    *settings = (struct gateway_settings){0};
    enum err err =
        config_load(gateway_option_table(), argc, argv, settings, &rest, ret_strings, complaint);
    if (!err && rest < argc) {
        err =
            buf_printf(complaint, "unexpected argument \"%s\"; --help tells the usage", argv[rest]);
        err = err ? err : ERR_INVALID;
    }
    err = err ? err : gateway_settings_check(settings, complaint);
    settings->redis.client_name = "guesslyfe-gateway";
    settings->redis.reconnect = true;
    return err;
}

enum err live_settings_load(struct live_settings *live, int argc, char **argv,
                            struct buf *complaint)
{
    *live = (struct live_settings){.argc = argc, .argv = argv};
    enum err err = load(argc, argv, &live->now, &live->at_start, complaint);
    rand_bytes(live->now.ticket_secret, sizeof live->now.ticket_secret);
    return err;
}

void live_settings_fini(struct live_settings *live)
{
    free(live->at_start);
    free(live->since);
}

/* --- What has changed --- */

struct changes {
    struct gateway_settings before, after; /* after: with what may change alone */
    unsigned taken, left;
};

static void find(struct changes *changes, const struct gateway_settings *fresh)
{
    struct config_table table = gateway_option_table();
    for (size_t i = 0; i < table.count; i++) {
        const struct config_option *option = &table.options[i];
        bool same = config_same_value(option, &changes->before, fresh);
        if (option->flags & CONFIG_RELOADABLE) {
            config_copy_value(option, &changes->after, fresh);
            changes->taken += !same;
        } else {
            changes->left += !same;
        }
    }
}

static void tell_change(const struct config_option *option, const struct gateway_settings *from,
                        const struct gateway_settings *to)
{
    struct buf old = {0}, new = {0};
    enum err err = config_write_value(option, from, &old);
    err = err ? err : config_write_value(option, to, &new);
    struct str before = err ? STR("?") : buf_str(&old), after = err ? STR("?") : buf_str(&new);
    if (option->flags & CONFIG_RELOADABLE) {
        log_info("setting changed", LOG_CSTR("name", option->env), LOG_STR("from", before),
                 LOG_STR("to", after));
    } else {
        log_warn("setting needs a restart", LOG_CSTR("name", option->env), LOG_STR("is", before),
                 LOG_STR("wanted", after));
    }
    buf_fini(&old);
    buf_fini(&new);
}

static void tell(const struct changes *changes, const struct gateway_settings *fresh)
{
    struct config_table table = gateway_option_table();
    for (size_t i = 0; i < table.count; i++) {
        if (!config_same_value(&table.options[i], &changes->before, fresh)) {
            tell_change(&table.options[i], &changes->before, fresh);
        }
    }
    log_info("reloaded", LOG_U64("changed", changes->taken),
             LOG_U64("need_restart", changes->left));
}

/* --- Reloading --- */

static void refuse(enum err err, struct buf *complaint, const struct changes *changes)
{
    const char *why = buf_cstr(complaint);
    log_error("not reloaded, nothing has changed",
              LOG_CSTR("why", why && *why ? why : err_name(err)),
              LOG_U64("need_restart", changes->left));
}

/* The old strings go when nobody looks at them any more. */
static void take_over(struct live_settings *live, struct gateway *gateway,
                      const struct gateway_settings *fresh, const struct changes *changes,
                      char *strings)
{
    char *old = live->since;
    live->now = changes->after;
    live->since = strings;
    gateway_reload(gateway, &live->now);
    unsigned before = changes->before.log_level, after = changes->after.log_level;
    log_set_level((enum log_level)(before > after ? before : after));
    tell(changes, fresh);
    log_set_level((enum log_level)after);
    free(old);
}

void live_settings_reload(struct live_settings *live, struct gateway *gateway)
{
    struct gateway_settings fresh;
    struct buf complaint = {0};
    char *strings = NULL;
    struct changes changes = {.before = live->now, .after = live->now};
    enum err err = load(live->argc, live->argv, &fresh, &strings, &complaint);
    if (!err) {
        find(&changes, &fresh);
        /* Good together with what needs a restart is not yet good without. */
        err = gateway_settings_check(&changes.after, &complaint);
    }
    if (err) {
        refuse(err, &complaint, &changes);
        free(strings);
    } else {
        take_over(live, gateway, &fresh, &changes, strings);
    }
    buf_fini(&complaint);
}
