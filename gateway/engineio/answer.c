/* What can be answered to a request, whoever has the connection. */
#include "engineio/internal.h"

#define NO_STORE "Cache-Control: no-store\r\n"

static const struct {
    unsigned status;
    const char *type, *extra;
    const char *body; /* NULL: the asker's own */
} answers[EIO_HTTP_OUTCOMES] = {
    [EIO_PACKETS] = {200, "text/plain; charset=UTF-8", NO_STORE, NULL},
    [EIO_TAKEN] = {200, "text/html", NO_STORE, "ok"},
    [EIO_TOO_LARGE] = {413, "text/plain", NO_STORE, "Payload too large"},
    [EIO_BUSY] = {503, "text/plain", NO_STORE "Retry-After: 1\r\n", "Try again later"},
};

void eio_answer(struct eio_server *server, const struct eio_asker *asker, enum eio_outcome outcome,
                struct str body)
{
    if (asker->exchange && outcome < EIO_HTTP_OUTCOMES) {
        http_respond(asker->exchange, answers[outcome].status, str_from(answers[outcome].type),
                     str_from(answers[outcome].extra),
                     answers[outcome].body ? str_from(answers[outcome].body) : body);
    } else if (!asker->exchange) {
        const struct eio_relay_answer answer = {
            .number = asker->number, .outcome = outcome, .body = body};
        eio_owner_answer(server, asker, &answer);
    }
}

void eio_answer_error(struct eio_server *server, const struct eio_asker *asker,
                      enum eio_error error)
{
    if (asker->exchange) {
        eio_respond_error(asker->exchange, error);
    } else {
        const struct eio_relay_answer answer = {
            .number = asker->number, .outcome = EIO_REFUSED, .error = error};
        eio_owner_answer(server, asker, &answer);
    }
}
