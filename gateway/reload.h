/*
 * The settings of a running gateway: loaded at its start, and again for SIGHUP.
 *
 * What the environment or a flag says can't change while the process runs; the settings file, the
 * files with secrets and the certificate can. Of what has changed there, options that are
 * CONFIG_RELOADABLE take effect, all or none; the others are told in the log and wait for a
 * restart.
 */
#ifndef GATEWAY_RELOAD_H
#define GATEWAY_RELOAD_H

#include "gateway.h"
#include "options.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"

struct live_settings {
    struct gateway_settings now; /* stays where it is: others look into it */
    int argc;
    char **argv;
    char *at_start; /* private: the strings of then, as long as the process lives */
    char *since;    /* private: those that have changed since then; NULL before */
};

/*
 * Loads and checks; keeps argv. INVALID: *complaint says what is wrong. live_settings_fini follows
 * always.
 */
MUST_CHECK enum err live_settings_load(struct live_settings *live, int argc, char **argv,
                                       struct buf *complaint);
/* The gateway must not look at them any more. */
void live_settings_fini(struct live_settings *live);

/* Loads them again and tells the gateway and the log what has changed, or what is wrong. */
void live_settings_reload(struct live_settings *live, struct gateway *gateway);

#endif
