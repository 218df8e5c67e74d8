#include "workers/signals.h"

#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>

static sigset_t ours(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    return set;
}

/* Neither can fail: what is asked for exists (sigprocmask(2)). */
void signals_hold(void)
{
    sigset_t set = ours();
    sigprocmask(SIG_BLOCK, &set, NULL);
}

void signals_release(void)
{
    sigset_t set = ours();
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

int signals_open(void)
{
    sigset_t set = ours();
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}
