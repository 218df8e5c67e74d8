/* Events and acks on their way to clients. */
#include "socketio/private.h"
#include "util/jtext.h"

/* `event` is empty (ptr NULL) for acks, `id` NULL without. NULL without memory. */
static struct rcbuf *encode(enum sio_packet_type type, size_t attachments,
                            struct str namespace_name, const uint64_t *id, struct str event,
                            struct str args)
{
    struct buf head;
    buf_init(&head, 0);
    enum err err = sio_packet_begin(type, attachments, namespace_name, id, &head);
    err = err ? err : buf_append_char(&head, '[');
    if (event.ptr) {
        err = err ? err : jtext_quote(event, &head);
        if (args.len > 0) {
            err = err ? err : buf_append_char(&head, ',');
        }
    }
    const struct str pieces[] = {buf_str(&head), args, STR("]")};
    struct rcbuf *packet = err ? NULL : eio_encode_pieces(pieces, ARRAY_LEN(pieces));
    buf_fini(&head);
    return packet;
}

struct rcbuf *sio_encode_event(struct str namespace_name, struct str event, struct str args)
{
    return encode(SIO_EVENT, 0, namespace_name, NULL, event, args);
}

static void unref_all(struct rcbuf **packets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        rcbuf_unref(&packets[i]);
    }
}

/* Nothing may stand between a packet and its attachments, so all is made before the first is sent.
 */
static enum err send_parts(struct sio_socket *socket, struct rcbuf *first,
                           const struct str *attachments, size_t count)
{
    struct rcbuf *packets[1 + SIO_ATTACHMENTS_MAX] = {first};
    bool complete = first;
    for (size_t i = 0; complete && i < count; i++) {
        packets[1 + i] = eio_encode_binary(attachments[i]);
        complete = packets[1 + i];
    }
    enum err err = complete ? OK : ERR_NOMEM;
    for (size_t i = 0; !err && i <= count; i++) {
        err = sio_socket_send(socket, packets[i]);
        if (err == ERR_NOMEM && i > 0) {
            sio_client_fail(socket->client, err);
        }
    }
    unref_all(packets, 1 + count);
    return err;
}

static enum err check_sending(const struct sio_socket *socket, size_t attachment_count)
{
    if (!sio_socket_is_open(socket)) {
        return ERR_CLOSED;
    }
    return attachment_count > SIO_ATTACHMENTS_MAX ? ERR_INVALID : OK;
}

enum err sio_socket_emit(struct sio_socket *socket, struct str event, struct str args,
                         const struct str *attachments, size_t attachment_count)
{
    enum err err = check_sending(socket, attachment_count);
    if (err) {
        return err;
    }
    enum sio_packet_type type = attachment_count > 0 ? SIO_BINARY_EVENT : SIO_EVENT;
    struct rcbuf *packet = encode(type, attachment_count, socket->of->name, NULL, event, args);
    return send_parts(socket, packet, attachments, attachment_count);
}

enum err sio_socket_ack(struct sio_socket *socket, uint64_t ack_id, struct str args,
                        const struct str *attachments, size_t attachment_count)
{
    enum err err = check_sending(socket, attachment_count);
    if (err) {
        return err;
    }
    enum sio_packet_type type = attachment_count > 0 ? SIO_BINARY_ACK : SIO_ACK;
    struct rcbuf *packet =
        encode(type, attachment_count, socket->of->name, &ack_id, (struct str){0}, args);
    return send_parts(socket, packet, attachments, attachment_count);
}
