/*
 * The one error type of the project.
 *
 * A function that can fail returns it and leaves its out-parameters untouched on failure. It
 * becomes an HTTP status, an Engine.IO code, a WebSocket close code or an exit code only at that
 * layer's edge, and it is logged once, by whoever decides what to do about it.
 */
#ifndef UTIL_ERR_H
#define UTIL_ERR_H

enum err {
    OK = 0,
    ERR_NOMEM,   /* an allocation failed */
    ERR_AGAIN,   /* not yet: more bytes, or a ready descriptor, are needed */
    ERR_PROTO,   /* the peer broke the protocol */
    ERR_LIMIT,   /* a configured limit would be exceeded */
    ERR_CLOSED,  /* the peer, or we, closed it already */
    ERR_INVALID, /* a value has the wrong form */
    ERR_DENIED,  /* well-formed, but not allowed */
    ERR_TIMEOUT, /* the time limit ran out */
    ERR_IO,      /* the system refused; errno was read where it happened */
};

/* A short lower-case name for logs, "no memory" for ERR_NOMEM. Never NULL. */
const char *err_name(enum err err);

#endif
