#include "echo.h"

static enum err on_open(void *owner, struct eio_session *session,
                        const struct http_request *request)
{
    (void)owner;
    (void)session;
    (void)request;
    return OK;
}

static void on_message(struct eio_session *session, bool binary, struct str data)
{
    struct rcbuf *packet = binary ? eio_encode_binary(data) : eio_encode_text(data);
    if (!packet || eio_session_send(session, packet)) {
        eio_session_close(session, EIO_CLOSE_SERVER);
    }
    rcbuf_unref(&packet);
}

static void on_close(struct eio_session *session, enum eio_close_reason reason)
{
    (void)session;
    (void)reason;
}

/* There is nothing to say of a session that moves. */

static void on_move(struct eio_session *session)
{
    eio_session_pack(session, STR(""));
}

static enum err on_arrive(void *owner, struct eio_session *session, struct str state)
{
    (void)owner;
    eio_session_ask(session, STR(""));
    return state.len == 0 ? OK : ERR_PROTO;
}

static void on_ask(struct eio_session *session, struct str place)
{
    (void)place;
    eio_session_hand_over(session, STR(""));
}

static void on_arrived(struct eio_session *session, struct str rest)
{
    (void)session;
    (void)rest;
}

const struct eio_session_ops echo_engine_ops = {
    .on_open = on_open,
    .on_message = on_message,
    .on_close = on_close,
    .on_move = on_move,
    .on_arrive = on_arrive,
    .on_ask = on_ask,
    .on_arrived = on_arrived,
};
