#include "client.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>
#include <unistd.h>

#include "fleet.h"
#include "http.h"
#include "packet.h"
#include "secure.h"
#include "shared/wire.h"
#include "util/clock.h"

enum { QUOTE_MAX = 48 };

/* Between the packets of a polling response or request. */
static const char separator = '\x1e';

static const char *const state_names[CLIENT_STATES] = {
    [CLIENT_UNUSED] = "unused",           [CLIENT_CONNECTING] = "connecting",
    [CLIENT_SECURING] = "securing",       [CLIENT_UPGRADING] = "upgrading",
    [CLIENT_OPENING] = "opening",         [CLIENT_JOINING] = "joining",
    [CLIENT_GREETING] = "greeting",       [CLIENT_READY] = "ready",
    [CLIENT_SUBSCRIBING] = "subscribing", [CLIENT_SUBSCRIBED] = "subscribed",
    [CLIENT_CLOSING] = "closing",         [CLIENT_CLOSED] = "closed",
};

void client_move(struct fleet *fleet, struct client *client, enum client_state state)
{
    fleet->in_state[client->state]--;
    fleet->in_state[state]++;
    client->state = (uint8_t)state;
}

void client_hang_up(struct fleet *fleet, struct client *client)
{
    SSL_free(client->ssl);
    client->ssl = NULL;
    close(client->fd);
    client->fd = -1;
    free(client->held);
    free(client->due);
    client->held = NULL;
    client->held_len = 0;
    client->due = NULL;
    client->awaits = AWAITS_NOTHING;
    client->sid[0] = '\0';
    client_move(fleet, client, CLIENT_CLOSED);
}

void client_end(struct fleet *fleet, struct client *client, const char *why)
{
    enum client_state state = client->state;
    client_hang_up(fleet, client);
    bool at_rest = state == CLIENT_READY || state == CLIENT_SUBSCRIBED;
    if (state == CLIENT_CLOSING || (at_rest && fleet->moving)) {
        return;
    }
    if (fleet->first_failure[0] == '\0') {
        snprintf(fleet->first_failure, sizeof(fleet->first_failure), "while %s: %s",
                 state_names[state], why);
    }
    if (at_rest) {
        fleet->broken++;
    } else {
        fleet->failed++;
    }
    if (state == CLIENT_SUBSCRIBED && fleet->ops != NULL) {
        fleet->ops->on_broken(fleet->ops_arg, client);
    }
}

/* Says in the report what arrived, as far as it is plain text that JSON can carry. */
static void end_quoting(struct fleet *fleet, struct client *client, const char *why,
                        const char *bytes, size_t len)
{
    char text[96];
    size_t n = (size_t)snprintf(text, sizeof(text), "%s: ", why);
    for (size_t i = 0; i < len && i < QUOTE_MAX; i++) {
        bool plain = bytes[i] >= ' ' && bytes[i] <= '~' && bytes[i] != '"' && bytes[i] != '\\';
        text[n++] = plain ? bytes[i] : '.';
    }
    text[n] = '\0';
    client_end(fleet, client, text);
}

/* What a client sends is tiny, so a socket that does not take it at once has failed. */
static void send_all(struct fleet *fleet, struct client *client, const char *bytes, size_t len)
{
    bool sent = client->ssl != NULL ? secure_send(client->ssl, bytes, len)
                                    : send(client->fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len;
    if (!sent) {
        client_end(fleet, client, "send failed");
    }
}

static void send_frame(struct fleet *fleet, struct client *client, enum wire_opcode opcode,
                       const char *payload, size_t len)
{
    char frame[PACKET_MAX + WIRE_HEAD_MAX];
    send_all(fleet, client, frame, wire_client_frame(frame, opcode, payload, len));
}

/* Posts what is due, or else polls while there is something to come. */
static void next_request(struct fleet *fleet, struct client *client)
{
    char request[HTTP_REQUEST_MAX];
    size_t len = 0;
    if (client->due != NULL) {
        len = http_post(fleet, client, request);
        free(client->due);
        client->due = NULL;
        client->awaits = AWAITS_OK;
    } else if (client->state != CLIENT_READY || fleet->poll_ready) {
        len = http_poll(fleet, client, request);
        client->awaits = AWAITS_PACKETS;
    }
    if (len > 0) {
        send_all(fleet, client, request, len);
    }
}

/* At once where no request is under way; with what the response brings, otherwise. */
static void post(struct fleet *fleet, struct client *client, const char *packet)
{
    char *due;
    int n = client->due == NULL ? asprintf(&due, "%s", packet)
                                : asprintf(&due, "%s%c%s", client->due, separator, packet);
    if (n < 0) {
        client_end(fleet, client, "no memory");
        return;
    }
    free(client->due);
    client->due = due;
    if (client->awaits == AWAITS_NOTHING) {
        next_request(fleet, client);
    }
}

static void send_packet(struct fleet *fleet, struct client *client, const char *packet)
{
    if (fleet->options->polling) {
        post(fleet, client, packet);
    } else {
        send_frame(fleet, client, WIRE_TEXT, packet, strlen(packet));
    }
}

static void ask_for_session(struct fleet *fleet, struct client *client)
{
    if (fleet->options->polling) {
        client_move(fleet, client, CLIENT_OPENING);
        next_request(fleet, client);
    } else {
        char request[HTTP_REQUEST_MAX];
        client_move(fleet, client, CLIENT_UPGRADING);
        send_all(fleet, client, request, http_websocket(fleet, request));
    }
}

static void shake_hands(struct fleet *fleet, struct client *client)
{
    enum err err = secure_handshake(client->ssl);
    if (err == OK) {
        ask_for_session(fleet, client);
    } else if (err != ERR_AGAIN) {
        client_end(fleet, client, secure_why());
    }
}

static void begin_tls(struct fleet *fleet, struct client *client)
{
    client_move(fleet, client, CLIENT_SECURING);
    client->ssl = secure_new(fleet->tls, client->fd);
    if (client->ssl == NULL) {
        client_end(fleet, client, "no memory");
    } else {
        shake_hands(fleet, client);
    }
}

void client_begin(struct fleet *fleet, struct client *client)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
        client_end(fleet, client, "connection refused");
    } else if (fleet->tls != NULL) {
        begin_tls(fleet, client);
    } else {
        ask_for_session(fleet, client);
    }
}

static void subscribe_next(struct fleet *fleet, struct client *client)
{
    char packet[PACKET_MAX];
    unsigned market = fleet_group(fleet, client) + client->rooms * fleet->count + 1;
    packet_subscribe(market, packet);
    send_packet(fleet, client, packet);
}

void client_subscribe(struct fleet *fleet, struct client *client)
{
    client->rooms = 0;
    client_move(fleet, client, CLIENT_SUBSCRIBING);
    subscribe_next(fleet, client);
}

void client_poll(struct fleet *fleet, struct client *client)
{
    if (client->state == CLIENT_READY && client->awaits == AWAITS_NOTHING) {
        next_request(fleet, client);
    }
}

void client_close(struct fleet *fleet, struct client *client)
{
    static const char normal_closure[] = {0x03, (char)0xe8};
    bool open = client->state >= CLIENT_CONNECTING && client->state < CLIENT_CLOSING;
    bool may_post = fleet->options->polling && client->awaits == AWAITS_NOTHING;
    if (open && (client->state <= CLIENT_UPGRADING || (fleet->options->polling && !may_post))) {
        client_hang_up(fleet, client);
    } else if (open && may_post) {
        client_move(fleet, client, CLIENT_CLOSING);
        send_packet(fleet, client, "1");
    } else if (open) {
        client_move(fleet, client, CLIENT_CLOSING);
        send_frame(fleet, client, WIRE_CLOSE, normal_closure, sizeof(normal_closure));
    }
}

static void authenticate(struct fleet *fleet, struct client *client)
{
    const struct packet_identity identity = {
        .secret = fleet->options->secret,
        .user = fleet->options->first_user + (unsigned)(client - fleet->clients),
        .recovery = fleet->options->recovery,
        .pid = client->pid,
        .offset = client->offset,
    };
    char packet[PACKET_MAX];
    if (packet_connect(&identity, packet) != OK) {
        client_end(fleet, client, "no token");
        return;
    }
    client_move(fleet, client, CLIENT_JOINING);
    send_packet(fleet, client, packet);
}

/* The Engine.IO handshake has come. */
static void open_session(struct fleet *fleet, struct client *client, const char *text, size_t len)
{
    if (fleet->options->bare) {
        client_move(fleet, client, CLIENT_READY);
        return;
    }
    if (fleet->options->polling &&
        !packet_member(text, len, "sid", client->sid, sizeof(client->sid))) {
        client_end(fleet, client, "no sid");
        return;
    }
    authenticate(fleet, client);
}

/* The namespace took it: as the one that it was, where the pid is the same. */
static void join(struct fleet *fleet, struct client *client, const char *text, size_t len)
{
    char pid[CLIENT_PID_MAX] = "";
    packet_member(text, len, "pid", pid, sizeof(pid));
    client->recovered = pid[0] != '\0' && strcmp(pid, client->pid) == 0;
    fleet->recovered += client->recovered;
    memcpy(client->pid, pid, sizeof(pid));
    client_move(fleet, client, CLIENT_GREETING);
}

/* "connected": whoever has recovered is in its room again. */
static void greet(struct fleet *fleet, struct client *client)
{
    client_move(fleet, client, client->recovered ? CLIENT_SUBSCRIBED : CLIENT_READY);
    if (!client->recovered && fleet->subscribe_at_once) {
        client_subscribe(fleet, client);
    }
}

/* The packet that brings a client from each state to the next. */
static bool is_next_step(enum client_state state, enum packet_kind kind)
{
    switch (state) {
    case CLIENT_OPENING:
        return kind == PACKET_EIO_OPEN;
    case CLIENT_JOINING:
        return kind == PACKET_CONNECTED;
    case CLIENT_GREETING:
        return kind == PACKET_GREETING;
    case CLIENT_SUBSCRIBING:
        return kind == PACKET_ACK_SUCCESS;
    default:
        return false;
    }
}

/* Of one subscription: on to the next, where there is one. */
static void take_ack(struct fleet *fleet, struct client *client)
{
    client->rooms++;
    if (client->rooms * fleet->count < fleet->options->rooms) {
        subscribe_next(fleet, client);
    } else {
        client_move(fleet, client, CLIENT_SUBSCRIBED);
    }
}

static void take_step(struct fleet *fleet, struct client *client, const char *text, size_t len)
{
    if (client->state == CLIENT_OPENING) {
        open_session(fleet, client, text, len);
    } else if (client->state == CLIENT_JOINING) {
        join(fleet, client, text, len);
    } else if (client->state == CLIENT_GREETING) {
        greet(fleet, client);
    } else {
        take_ack(fleet, client);
    }
}

static bool hears(const struct client *client)
{
    return client->state == CLIENT_SUBSCRIBED ||
           (client->state == CLIENT_GREETING && client->recovered);
}

static void hear(struct fleet *fleet, struct client *client)
{
    fleet->heard += !client->heard;
    fleet->heard_again += client->heard;
    client->heard = true;
}

/* What means nothing to a client in this state. */
static bool can_wait(enum client_state state, enum packet_kind kind)
{
    bool event = kind == PACKET_TRADE || kind == PACKET_EVENT;
    return kind == PACKET_EIO_NOOP || (event && state >= CLIENT_READY);
}

static void take_packet(struct fleet *fleet, struct client *client, const char *text, size_t len,
                        uint64_t now_us)
{
    enum client_state state = client->state;
    enum packet_kind kind = packet_kind(text, len);
    if (fleet->options->recovery && kind >= PACKET_GREETING) {
        packet_offset(text, len, client->offset, sizeof(client->offset));
    }
    if (kind == PACKET_TRADE && hears(client) && fleet->ops != NULL) {
        fleet->ops->on_event(fleet->ops_arg, client, text, len, now_us);
    } else if (kind == PACKET_TRADE && state == CLIENT_READY) {
        fleet->astray++;
    } else if (kind == PACKET_ANNOUNCEMENT && state >= CLIENT_GREETING) {
        hear(fleet, client);
    } else if (kind == PACKET_EIO_PING) {
        fleet->pings++;
        send_packet(fleet, client, "3");
    } else if (is_next_step(state, kind)) {
        take_step(fleet, client, text, len);
    } else if (!can_wait(state, kind)) {
        end_quoting(fleet, client, "unexpected packet", text, len);
    }
}

/* Nothing matters any more but an event: at this time it can only be one too many. */
static void take_late_frame(struct fleet *fleet, struct client *client,
                            const struct wire_frame *frame, uint64_t now_us)
{
    if (frame->opcode == WIRE_TEXT && fleet->ops != NULL &&
        packet_kind(frame->payload, frame->len) == PACKET_TRADE) {
        fleet->ops->on_event(fleet->ops_arg, client, frame->payload, frame->len, now_us);
    }
}

static void take_frame(struct fleet *fleet, struct client *client, const struct wire_frame *frame,
                       uint64_t now_us)
{
    if (frame->masked) {
        client_end(fleet, client, "masked frame");
    } else if (client->state == CLIENT_CLOSING) {
        take_late_frame(fleet, client, frame, now_us);
    } else if (frame->opcode == WIRE_TEXT) {
        take_packet(fleet, client, frame->payload, frame->len, now_us);
    } else if (frame->opcode == WIRE_PING && frame->len <= WIRE_CONTROL_MAX) {
        fleet->pings++;
        send_frame(fleet, client, WIRE_PONG, frame->payload, frame->len);
    } else {
        client_end(fleet, client,
                   frame->opcode == WIRE_CLOSE ? "closed by the server" : "unexpected frame");
    }
}

/* Handles the whole frames in `bytes`; *used is how much was used of them. */
static enum err take_frames(struct fleet *fleet, struct client *client, char *bytes, size_t len,
                            uint64_t now_us, size_t *used)
{
    enum err err = OK;
    if (client->state == CLIENT_UPGRADING) {
        err = wire_parse_upgrade(bytes, len, used);
        if (err == OK) {
            client_move(fleet, client, CLIENT_OPENING);
        }
    }
    while (err == OK && client->fd >= 0) {
        struct wire_frame frame;
        err = wire_parse(bytes + *used, len - *used, &frame);
        if (err == OK) {
            *used += frame.size;
            take_frame(fleet, client, &frame, now_us);
        }
    }
    return err;
}

/* The packets of one poll; nothing of interest is in the response to a POST. */
static void take_poll(struct fleet *fleet, struct client *client, const char *body, size_t len,
                      uint64_t now_us)
{
    const char *end = body + len;
    while (client->fd >= 0 && body < end) {
        const char *next = memchr(body, separator, (size_t)(end - body));
        const char *packet_end = next == NULL ? end : next;
        take_packet(fleet, client, body, (size_t)(packet_end - body), now_us);
        body = next == NULL ? end : next + 1;
    }
}

/* The same for the responses to a polling client, which ask for the next request. */
static enum err take_responses(struct fleet *fleet, struct client *client, char *bytes, size_t len,
                               uint64_t now_us, size_t *used)
{
    struct http_response response;
    enum err err = http_parse(bytes, len, &response);
    if (err != OK) {
        return err;
    }
    *used = response.size;
    if (client->awaits == AWAITS_PACKETS) {
        take_poll(fleet, client, response.body, response.len, now_us);
    } else if (client->state == CLIENT_CLOSING) {
        client_hang_up(fleet, client);
    }
    if (client->fd >= 0) {
        client->awaits = AWAITS_NOTHING;
        next_request(fleet, client);
    }
    return OK;
}

static size_t take_bytes(struct fleet *fleet, struct client *client, char *bytes, size_t len,
                         uint64_t now_us)
{
    size_t used = 0;
    enum err err = fleet->options->polling
                       ? take_responses(fleet, client, bytes, len, now_us, &used)
                       : take_frames(fleet, client, bytes, len, now_us, &used);
    if (err == ERR_PROTO) {
        end_quoting(fleet, client, "broken protocol", bytes + used, len - used);
    }
    return used;
}

/* Keeps the beginning of a frame until its rest arrives. */
static void hold(struct fleet *fleet, struct client *client, const char *bytes, size_t len)
{
    client->held = malloc(len);
    if (client->held == NULL) {
        client_end(fleet, client, "no memory");
        return;
    }
    memcpy(client->held, bytes, len);
    client->held_len = (uint32_t)len;
}

static ssize_t receive(struct client *client, char *bytes, size_t cap)
{
    return client->ssl != NULL ? secure_recv(client->ssl, bytes, cap)
                               : recv(client->fd, bytes, cap, 0);
}

/* Whether something came. */
static bool read_once(struct fleet *fleet, struct client *client)
{
    size_t len = client->held_len;
    if (len > 0) {
        memcpy(fleet->scratch, client->held, len);
        free(client->held);
        client->held = NULL;
        client->held_len = 0;
    }
    ssize_t n = receive(client, fleet->scratch + len, FLEET_SCRATCH_SIZE - len);
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        client_end(fleet, client, n == 0 ? "hung up by the server" : strerror(errno));
        return false;
    }
    len += n > 0 ? (size_t)n : 0;
    size_t used = take_bytes(fleet, client, fleet->scratch, len, clock_monotonic_us());
    if (client->fd >= 0 && used < len) {
        hold(fleet, client, fleet->scratch + used, len - used);
    }
    return n > 0;
}

/* TLS may hold more than one piece of what the socket has shown once. */
static bool has_more(const struct client *client)
{
    return client->ssl != NULL && secure_pending(client->ssl);
}

void client_read(struct fleet *fleet, struct client *client)
{
    if (client->state == CLIENT_SECURING) {
        shake_hands(fleet, client);
        return;
    }
    while (read_once(fleet, client) && has_more(client)) {
    }
}
