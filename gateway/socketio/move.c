/*
 * A client whose session moves to another gateway. Four texts go to and fro (see
 * engineio/session.h), each a line for the client, in the first only, and for each of its sockets
 *
 *     <namespace> <socket's id> <1, or 0 where it is not accepted> <bytes>\n<the application's
 * text>
 */
#include <stdlib.h>
#include <string.h>

#include "socketio/private.h"

/* A text that is being put together. */
struct sio_move {
    void (*give)(struct eio_session *session, struct str text);
    unsigned waiting; /* sockets that have not given their part, and one while they are asked */
    struct buf text;
};

void sio_move_free(struct sio_move *move)
{
    if (move) {
        buf_fini(&move->text);
        free(move);
    }
}

static void fail(struct sio_client *client)
{
    eio_session_close(sio_client_session(client), EIO_CLOSE_SERVER);
}

/* --- Pieces --- */

struct piece {
    struct str name, id, text;
    bool connected;
};

static enum err write_piece(const struct sio_socket *socket, struct str text, struct buf *out)
{
    enum err err =
        buf_printf(out, STR_FMT " " STR_FMT " %d %zu\n", STR_ARG(socket->of->name),
                   STR_ARG(sio_socket_id(socket)), socket->state == SIO_SOCKET_CONNECTED, text.len);
    return err ? err : buf_append(out, text);
}

/* "… <bytes>\n" and as many bytes: the words before, and the bytes. */
static enum err take_line(struct str *text, struct str *ret_line, size_t *ret_len)
{
    uint64_t len;
    struct str line, number;
    if (!str_split(text, '\n', &line) || !text->ptr) {
        return ERR_PROTO;
    }
    *ret_line = line;
    for (number = line; str_find(line, ' ') < line.len;) {
        struct str word;
        str_split(&line, ' ', &word);
        number = line;
    }
    if (str_to_u64(number, &len) || len > text->len) {
        return ERR_PROTO;
    }
    *ret_len = (size_t)len;
    return OK;
}

/* Of a line, where nothing but the number of bytes is left. */
static bool is_last_word(struct str line)
{
    return line.ptr && str_find(line, ' ') == line.len;
}

/* AGAIN: there is none. */
static enum err take_piece(struct str *text, struct piece *piece)
{
    struct str line, flag;
    size_t len;
    if (text->len == 0) {
        return ERR_AGAIN;
    }
    if (take_line(text, &line, &len) || !str_split(&line, ' ', &piece->name) ||
        !str_split(&line, ' ', &piece->id) || !str_split(&line, ' ', &flag) ||
        !is_last_word(line) || piece->id.len != SIO_SID_LEN) {
        return ERR_PROTO;
    }
    piece->connected = str_eq(flag, STR("1"));
    piece->text = str_range(text->ptr, len);
    *text = str_skip(*text, len);
    return OK;
}

/* --- Putting a text together --- */

static void one_less(struct sio_client *client)
{
    struct sio_move *move = client->rare->move;
    if (--move->waiting == 0) {
        move->give(sio_client_session(client), buf_str(&move->text));
    }
}

void sio_socket_hand(struct sio_socket *socket, struct str text)
{
    struct sio_move *move = sio_client_move(socket->client);
    if (!move) {
        return;
    }
    if (write_piece(socket, text, &move->text)) {
        fail(socket->client);
    } else {
        one_less(socket->client);
    }
}

static unsigned count_sockets(const struct sio_client *client)
{
    unsigned count = 0;
    for (const struct sio_socket *socket = client->sockets; socket; socket = socket->next) {
        count++;
    }
    return count;
}

/* The next text begins; one_less() when all sockets have been asked for their part. */
static void begin(struct sio_client *client, void (*give)(struct eio_session *, struct str))
{
    struct sio_move *move = client->rare->move;
    buf_clear(&move->text);
    move->give = give;
    move->waiting = count_sockets(client) + 1;
}

static enum err move_new(struct sio_client *client)
{
    struct sio_move *move = sio_client_need_rare(client) ? NULL : calloc(1, sizeof *move);
    if (!move) {
        return ERR_NOMEM;
    }
    buf_init(&move->text, 0); /* of what is bounded itself: rooms, and a header */
    client->rare->move = move;
    return OK;
}

/* Idempotent. */
static void move_end(struct sio_client *client)
{
    if (client->rare) {
        sio_move_free(client->rare->move);
        client->rare->move = NULL;
        sio_client_tidy(client);
    }
}

/* --- There --- */

static enum err write_client(const struct sio_client *client, struct buf *out)
{
    struct str authorization = sio_client_authorization(client);
    enum err err =
        buf_printf(out, "%d %d %zu\n", client->has_origin, client->dismissed, authorization.len);
    return err ? err : buf_append(out, authorization);
}

/* Half of a binary packet would have to go along; no client upgrades in the middle of one. */
void sio_move_begin(struct eio_session *session)
{
    struct sio_client *client = eio_session_room(session);
    sio_client_sweep(client);
    if (sio_client_binary(client) || client->closing || move_new(client)) {
        fail(client);
        return;
    }
    begin(client, eio_session_pack);
    if (write_client(client, &client->rare->move->text)) {
        fail(client);
        return;
    }
    for (struct sio_socket *socket = client->sockets; socket; socket = socket->next) {
        if (socket->of->ops->on_move) {
            socket->of->ops->on_move(socket);
        } else {
            sio_socket_hand(socket, STR(""));
        }
    }
    one_less(client);
}

void sio_move_ask(struct eio_session *session, struct str place)
{
    struct sio_client *client = eio_session_room(session);
    struct piece piece;
    enum err err;
    if (!sio_client_move(client) || client->rare->move->waiting > 0) {
        fail(client);
        return;
    }
    begin(client, eio_session_hand_over);
    while (!(err = take_piece(&place, &piece))) {
        struct sio_socket *socket = sio_client_socket(client, piece.name);
        if (socket && socket->of->ops->on_ask) {
            socket->of->ops->on_ask(socket, piece.text);
        } else if (socket) {
            sio_socket_hand(socket, STR(""));
        }
    }
    if (err != ERR_AGAIN) {
        fail(client);
        return;
    }
    one_less(client);
}

/* --- Here --- */

static enum err read_client(struct str *state, struct eio_session *session,
                            struct sio_client **ret_client)
{
    struct str line, has_origin, dismissed;
    size_t len;
    if (take_line(state, &line, &len) || !str_split(&line, ' ', &has_origin) ||
        !str_split(&line, ' ', &dismissed) || !is_last_word(line)) {
        return ERR_PROTO;
    }
    struct sio_client *client =
        sio_client_new(session, str_range(state->ptr, len), str_eq(has_origin, STR("1")));
    if (!client) {
        return ERR_NOMEM;
    }
    client->dismissed = str_eq(dismissed, STR("1"));
    *state = str_skip(*state, len);
    *ret_client = client;
    return OK;
}

static enum err make_socket(struct sio_client *client, const struct piece *piece)
{
    const struct sio_namespace *of = sio_server_namespace(sio_client_server(client), piece->name);
    if (!of || sio_client_socket(client, piece->name)) {
        return ERR_PROTO;
    }
    struct sio_socket *socket = sio_socket_new(client, of);
    if (!socket) {
        return ERR_NOMEM;
    }
    memcpy(socket->id, piece->id.ptr, SIO_SID_LEN);
    socket->state = piece->connected ? SIO_SOCKET_CONNECTED : SIO_SOCKET_CONNECTING;
    return OK;
}

static enum err make_sockets(struct sio_client *client, struct str pieces)
{
    struct piece piece;
    enum err err = move_new(client);
    while (!err && !(err = take_piece(&pieces, &piece))) {
        err = make_socket(client, &piece);
    }
    return err == ERR_AGAIN ? OK : err;
}

/* Before the application knows of any of them. */
static void discard(struct sio_client *client)
{
    move_end(client); /* it does not move any more: that ends with its sockets else */
    for (struct sio_socket *socket = client->sockets; socket; socket = socket->next) {
        socket->state = SIO_SOCKET_REFUSED;
    }
    sio_client_discard(client);
}

enum err sio_move_arrive(void *owner, struct eio_session *session, struct str state)
{
    struct sio_client *client = NULL;
    struct piece piece;
    (void)owner;
    enum err err = read_client(&state, session, &client);
    if (err) {
        return err;
    }
    err = make_sockets(client, state);
    if (err) {
        discard(client);
        return err;
    }
    sio_client_watch(client);
    begin(client, eio_session_ask);
    while (!take_piece(&state, &piece)) {
        struct sio_socket *socket = sio_client_socket(client, piece.name);
        if (socket->of->ops->on_arrive) {
            socket->of->ops->on_arrive(socket->of->owner, socket, piece.text);
        } else {
            sio_socket_hand(socket, STR(""));
        }
    }
    one_less(client);
    return OK;
}

void sio_move_arrived(struct eio_session *session, struct str rest)
{
    struct sio_client *client = eio_session_room(session);
    struct piece piece;
    enum err err;
    move_end(client);
    while (!(err = take_piece(&rest, &piece))) {
        struct sio_socket *socket = sio_client_socket(client, piece.name);
        if (socket && socket->of->ops->on_arrived) {
            socket->of->ops->on_arrived(socket, piece.text);
        }
    }
    if (err != ERR_AGAIN) {
        fail(client);
    }
}
