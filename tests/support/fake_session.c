#include "fake_session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engineio/packet.h"

void fake_session_fini(struct eio_session *session)
{
    buf_fini(&session->sent);
    buf_fini(&session->handed);
}

void *eio_session_room(struct eio_session *session)
{
    return session->room;
}

struct eio_session *eio_session_of_room(void *room)
{
    return container_of(room, struct eio_session, room);
}

void *eio_session_owner(const struct eio_session *session)
{
    return session->owner;
}

const char *eio_session_peer(const struct eio_session *session)
{
    (void)session;
    return "peer";
}

/* --- Packets --- */

struct rcbuf *eio_encode_pieces(const struct str *pieces, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        len += pieces[i].len;
    }
    struct rcbuf *packet = rcbuf_new(len);
    char *at = packet ? packet->data : NULL;
    for (size_t i = 0; packet && i < count; at += pieces[i++].len) {
        memcpy(at, pieces[i].ptr, pieces[i].len);
    }
    return packet;
}

struct rcbuf *eio_encode_text(struct str data)
{
    return rcbuf_copy(data);
}

struct rcbuf *eio_encode_binary(struct str data)
{
    return rcbuf_copy(data);
}

enum err eio_session_send(struct eio_session *session, struct rcbuf *packet)
{
    if (session->closed) {
        return ERR_CLOSED;
    }
    enum err err = buf_append(&session->sent, rcbuf_str(packet));
    return err ? err : buf_append_char(&session->sent, '\n');
}

enum err eio_session_send_batch(struct eio_session *session, struct eio_batch *batch)
{
    enum err err = OK;
    for (size_t i = 0; i < batch->count && !err; i++) {
        err = eio_session_send(session, batch->packets[i]);
    }
    return err;
}

/* --- Ends and moves --- */

void eio_session_close(struct eio_session *session, enum eio_close_reason reason)
{
    assert_true(reason == EIO_CLOSE_SERVER || reason == EIO_CLOSE_PROTOCOL);
    if (!session->closed) {
        session->closed = true;
        session->reason = reason;
    }
}

static void hand(struct eio_session *session, struct str text)
{
    buf_clear(&session->handed);
    if (buf_append(&session->handed, text)) {
        session->closed = true; /* as where it can't be sent */
        return;
    }
    session->hands++;
}

void eio_session_pack(struct eio_session *session, struct str state)
{
    hand(session, state);
}

void eio_session_ask(struct eio_session *session, struct str place)
{
    hand(session, place);
}

void eio_session_hand_over(struct eio_session *session, struct str rest)
{
    hand(session, rest);
}
