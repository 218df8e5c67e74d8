#include "util/err.h"

const char *err_name(enum err err)
{
    switch (err) {
    case OK:
        return "ok";
    case ERR_NOMEM:
        return "no memory";
    case ERR_AGAIN:
        return "not yet";
    case ERR_PROTO:
        return "protocol error";
    case ERR_LIMIT:
        return "limit exceeded";
    case ERR_CLOSED:
        return "closed";
    case ERR_INVALID:
        return "invalid";
    case ERR_DENIED:
        return "denied";
    case ERR_TIMEOUT:
        return "timed out";
    case ERR_IO:
        return "input/output error";
    }
    return "unknown error";
}
