/*
 * The signals of supervisor and workers: SIGTERM, SIGINT, SIGHUP, SIGCHLD. The supervisor holds
 * them back and reads them from a descriptor. A worker inherits them held back, and lets them in
 * when its own handlers stand: none that comes before is lost, or ends it by surprise.
 */
#ifndef WORKERS_SIGNALS_H
#define WORKERS_SIGNALS_H

void signals_hold(void);
void signals_release(void);
/* A non-blocking descriptor of struct signalfd_siginfo; -1 with errno. */
int signals_open(void);

#endif
