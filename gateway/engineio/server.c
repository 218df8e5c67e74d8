/* Which request belongs to whom, and what is due at the end of a turn. */
#include <stdlib.h>

#include "engineio/internal.h"
#include "engineio/relay.h"
#include "util/clock.h"
#include "websocket/handshake.h"

enum {
    SLICE_US = 5000, /* of one turn for answering polls */
    SLICE_STEP = 32, /* sessions between looks at the clock */
};

#define JSON STR("application/json")

void eio_respond_error(struct http_exchange *exchange, enum eio_error error)
{
    http_respond(exchange, eio_error_status(error), JSON, STR("Cache-Control: no-store\r\n"),
                 eio_error_body(error));
}

const char *eio_refusal_name(size_t refusal)
{
    static const char *const names[EIO_REFUSALS] = {
        [EIO_REFUSAL_FULL] = "full",
        [EIO_REFUSAL_RATE] = "rate",
        [EIO_REFUSAL_LEAVING] = "drain",
    };
    return refusal < EIO_REFUSALS ? names[refusal] : "unknown";
}

/* A second is as soon as makes sense: another token will be there, or another gateway. */
void eio_respond_busy(struct http_exchange *exchange, enum eio_refusal refusal)
{
    static const char *const bodies[EIO_REFUSALS] = {
        [EIO_REFUSAL_FULL] = "{\"code\":4,\"message\":\"Too many connections\"}",
        [EIO_REFUSAL_RATE] = "{\"code\":4,\"message\":\"Too many handshakes\"}",
        [EIO_REFUSAL_LEAVING] = "{\"code\":4,\"message\":\"Server is shutting down\"}",
    };
    if (refusal == EIO_REFUSAL_LEAVING) {
        http_exchange_close_after(exchange);
    }
    http_respond(exchange, 503, JSON, STR("Cache-Control: no-store\r\nRetry-After: 1\r\n"),
                 str_from(bodies[refusal]));
}

void eio_respond_ws_refusal(struct http_exchange *exchange, unsigned status)
{
    http_exchange_close_after(exchange);
    if (status == 503) {
        eio_respond_busy(exchange, EIO_REFUSAL_FULL);
    } else {
        struct str version = status == 426 ? STR("Sec-WebSocket-Version: 13\r\n") : STR("");
        http_respond(exchange, status, JSON, version, eio_error_body(EIO_ERROR_REQUEST));
    }
}

static void refuse(struct eio_server *server, struct http_exchange *exchange,
                   const struct eio_query *query, enum eio_error error)
{
    server->stats.refused++;
    if (query->upgrade) {
        http_exchange_close_after(exchange);
    }
    eio_respond_error(exchange, error);
}

struct str eio_server_gateway_id(const struct eio_server *server)
{
    return server->relay ? str_from(server->relay->options.gateway_id) : STR("");
}

/* A good handshake that comes at a bad time. */
static void turn_away(struct eio_server *server, struct http_exchange *exchange,
                      const struct eio_query *query, enum eio_refusal refusal)
{
    server->stats.refused++;
    server->stats.turned_away[refusal]++;
    if (query->websocket) {
        http_exchange_close_after(exchange);
    }
    eio_respond_busy(exchange, refusal);
}

static struct str sid_of(const struct map_node *node)
{
    return eio_session_sid(container_of(node, struct eio_session, node));
}

struct eio_session *eio_server_find(const struct eio_server *server, struct str sid)
{
    struct map_node *node = map_find(&server->by_sid, sid);
    return node ? container_of(node, struct eio_session, node) : NULL;
}

/* Only pages in browsers send Origin, and only for WebSocket nobody but us enforces it. */
static bool origin_allowed(const struct eio_server *server, const struct http_request *request,
                           const struct eio_query *query)
{
    return !query->websocket || !server->http ||
           http_server_allows_origin(server->http, http_request_header(request, STR("Origin")));
}

static enum err queue_open_packet(struct eio_session *session)
{
    const struct eio_server_options *options = session->server->options;
    struct rcbuf *packet = eio_encode_handshake(&(struct eio_handshake){
        .sid = eio_session_sid(session),
        .upgrades = session->polled,
        .ping_interval_ms = options->ping_interval_ms,
        .ping_timeout_ms = options->ping_timeout_ms,
        .max_payload = options->max_payload,
    });
    enum err err = packet ? eio_session_send(session, packet) : ERR_NOMEM;
    rcbuf_unref(&packet);
    return err;
}

/* The session in OPENING, its open packet queued, taken by whoever is above. */
static enum err open_session(struct eio_server *server, struct http_exchange *exchange,
                             const struct http_request *request, const struct eio_query *query,
                             struct eio_session **ret_session)
{
    struct eio_session *session = eio_session_new(server, http_exchange_conn(exchange),
                                                  query->websocket ? &eio_websocket : &eio_polling);
    if (!session) {
        return ERR_NOMEM;
    }
    enum err err = queue_open_packet(session);
    if (!err) {
        err = server->ops->on_open(server->owner, session, request);
    }
    if (err) {
        eio_session_discard(session);
        return err;
    }
    server->stats.opened++;
    *ret_session = session;
    return OK;
}

static void begin_websocket(struct eio_session *session, struct http_exchange *exchange,
                            const struct http_request *request)
{
    unsigned status = 503;
    enum err err = eio_websocket_begin(session, exchange, request, &status);
    eio_session_opened(session);
    if (err) {
        eio_session_end(session, EIO_CLOSE_TRANSPORT);
        eio_respond_ws_refusal(exchange, status);
    } else {
        eio_websocket_take(session, exchange);
    }
}

static void begin_polling(struct eio_session *session, struct http_exchange *exchange)
{
    eio_session_opened(session);
    eio_polling_poll(session, &(struct eio_asker){.exchange = exchange});
}

/* Whether this is no time for a handshake. */
static bool is_too_busy(struct eio_server *server, enum eio_refusal *ret_refusal)
{
    const struct eio_server_options *options = server->options;
    *ret_refusal = server->leaving ? EIO_REFUSAL_LEAVING : EIO_REFUSAL_RATE;
    return server->leaving || !bucket_take(&server->handshakes, options->handshake_rate,
                                           options->handshake_burst, loop_now(server->loop));
}

/* Whether there is a place for one more; one that nobody has connected on may be taken back for it.
 */
static bool make_place(struct eio_server *server)
{
    if (server->stats.sessions < server->options->max_sessions) {
        return true;
    }
    struct eio_session *spare = server->ops->spare ? server->ops->spare(server->owner) : NULL;
    if (spare) {
        eio_session_end(spare, EIO_CLOSE_DISPLACED);
    }
    return spare != NULL;
}

static void on_handshake(struct eio_server *server, struct http_exchange *exchange,
                         const struct http_request *request, const struct eio_query *query)
{
    enum eio_error error =
        eio_query_check_handshake(request, query, origin_allowed(server, request, query));
    if (error != EIO_NO_ERROR) {
        refuse(server, exchange, query, error);
        return;
    }
    unsigned status = query->websocket ? ws_handshake_refusal(request) : 0;
    if (status) {
        server->stats.refused++;
        eio_respond_ws_refusal(exchange, status);
        return;
    }
    enum eio_refusal refusal;
    if (is_too_busy(server, &refusal)) {
        turn_away(server, exchange, query, refusal);
        return;
    }
    struct eio_session *session = NULL;
    enum err err =
        make_place(server) ? open_session(server, exchange, request, query, &session) : ERR_LIMIT;
    if (err == ERR_DENIED) {
        refuse(server, exchange, query, EIO_ERROR_FORBIDDEN);
    } else if (err) {
        turn_away(server, exchange, query, EIO_REFUSAL_FULL);
    } else if (query->websocket) {
        begin_websocket(session, exchange, request);
    } else {
        begin_polling(session, exchange);
    }
}

static void on_polling_request(struct eio_session *session, struct http_exchange *exchange,
                               const struct http_request *request)
{
    const struct eio_asker asker = {.exchange = exchange};
    if (request->method == HTTP_GET) {
        eio_polling_poll(session, &asker);
    } else if (request->method == HTTP_POST && eio_polling_is_bytes(request)) {
        eio_session_end(session, EIO_CLOSE_PROTOCOL);
        eio_respond_error(exchange, EIO_ERROR_REQUEST);
    } else if (request->method == HTTP_POST) {
        eio_polling_post(session, &asker, request->body);
    } else {
        eio_respond_error(exchange, EIO_ERROR_REQUEST);
    }
}

/* Whether a session that is not here may be with another gateway. */
static bool is_elsewhere(const struct eio_server *server, struct str sid)
{
    return server->relay && eio_sid_has_owner(sid) &&
           !str_starts(sid, eio_server_gateway_id(server));
}

/* The WebSocket for a session of another gateway, which would come here. */
static void on_foreign_upgrade(struct eio_server *server, struct http_exchange *exchange,
                               const struct http_request *request, const struct eio_query *query)
{
    unsigned status = ws_handshake_refusal(request);
    if (!origin_allowed(server, request, query)) {
        refuse(server, exchange, query, EIO_ERROR_FORBIDDEN);
    } else if (status) {
        server->stats.refused++;
        eio_respond_ws_refusal(exchange, status);
    } else if (server->leaving || server->stats.sessions >= server->options->max_sessions) {
        turn_away(server, exchange, query,
                  server->leaving ? EIO_REFUSAL_LEAVING : EIO_REFUSAL_FULL);
    } else {
        eio_relay_upgrade(server, exchange, request, query->sid);
    }
}

/* A request that names its session. */
static void on_session_request(struct eio_server *server, struct http_exchange *exchange,
                               const struct http_request *request, const struct eio_query *query)
{
    struct eio_session *session = eio_server_find(server, query->sid);
    if (!session && !query->websocket && is_elsewhere(server, query->sid)) {
        eio_relay_request(server, exchange, request, query->sid);
    } else if (!session && query->websocket && query->upgrade && is_elsewhere(server, query->sid)) {
        on_foreign_upgrade(server, exchange, request, query);
    } else if (!session && query->websocket && query->upgrade &&
               eio_relay_error(server, query->sid) == EIO_ERROR_REQUEST) {
        eio_websocket_one_too_many(exchange, request); /* it has moved to another */
    } else if (!session) {
        refuse(server, exchange, query, eio_relay_error(server, query->sid));
    } else if (query->upgrade != query->websocket ||
               (!query->websocket && !eio_session_is_polling(session))) {
        refuse(server, exchange, query, EIO_ERROR_REQUEST);
    } else if (!query->websocket) {
        on_polling_request(session, exchange, request);
    } else if (!origin_allowed(server, request, query)) {
        refuse(server, exchange, query, EIO_ERROR_FORBIDDEN);
    } else {
        eio_upgrade_start(session, exchange, request);
    }
}

/* The path itself, without its last slash, or anything below it. */
static bool path_is_ours(const struct eio_server *server, struct str path)
{
    struct str ours = server->options->path;
    return str_starts(path, ours) || str_eq(path, str_range(ours.ptr, ours.len - 1));
}

static void on_request(void *owner, struct http_exchange *exchange,
                       const struct http_request *request)
{
    struct eio_server *server = owner;
    struct eio_query query = {.upgrade = ws_handshake_wanted(request)};
    if (!path_is_ours(server, request->path)) {
        http_respond(exchange, 404, STR("text/plain"), STR(""), STR("Not found"));
        return;
    }
    enum eio_error error = eio_query_read(request, &query);
    if (error != EIO_NO_ERROR) {
        refuse(server, exchange, &query, error);
    } else if (query.sid.len > 0) {
        on_session_request(server, exchange, request, &query);
    } else {
        on_handshake(server, exchange, request, &query);
    }
}

/* The sid that packets are posted to; empty for any other request. */
static struct str posted_to(const struct eio_server *server, const struct http_request *request)
{
    struct eio_query query = {0};
    bool is_post = request->method == HTTP_POST && path_is_ours(server, request->path) &&
                   eio_query_read(request, &query) == EIO_NO_ERROR && !query.websocket;
    return is_post ? query.sid : STR("");
}

/* Not for one that will be refused whatever its body is. */
static bool on_body_begin(void *owner, const struct http_request *request)
{
    struct str sid = posted_to(owner, request);
    struct eio_session *session = eio_server_find(owner, sid);
    if (!session) {
        return is_elsewhere(owner, sid);
    }
    if (!eio_session_is_polling(session) || session->posting) {
        return false;
    }
    session->posting = true;
    return true;
}

static void on_body_end(void *owner, const struct http_request *request)
{
    struct eio_session *session = eio_server_find(owner, posted_to(owner, request));
    if (session) {
        session->posting = false;
    }
}

struct http_handler eio_server_handler(struct eio_server *server)
{
    struct str path = server->options->path;
    return (struct http_handler){
        .prefix = str_range(path.ptr, path.len - 1),
        .on_request = on_request,
        .owner = server,
        .on_body_begin = on_body_begin,
        .on_body_end = on_body_end,
    };
}

static void work(struct list *due)
{
    struct list *node = list_pop_front(due);
    if (node) {
        eio_session_turn(container_of(node, struct eio_session, due));
    }
}

/* Answers polls and tells of ends, in slices: what is left keeps its place for the next turn. */
static void on_turn(struct loop_task *task)
{
    struct eio_server *server = container_of(task, struct eio_server, turn);
    uint64_t until = clock_monotonic_us() + SLICE_US;
    do {
        for (int i = 0; i < SLICE_STEP; i++) {
            work(&server->due);
        }
    } while (!list_empty(&server->due) && clock_monotonic_us() < until);
    if (!list_empty(&server->due)) {
        loop_defer(server->loop, task);
    }
}

struct eio_server *eio_server_new(struct loop *loop, const struct eio_server_options *options,
                                  const struct eio_session_ops *ops, void *owner)
{
    struct eio_server *server = calloc(1, sizeof *server);
    if (!server) {
        return NULL;
    }
    server->loop = loop;
    server->options = options;
    server->ops = ops;
    server->owner = owner;
    map_init(&server->by_sid, sid_of);
    list_init(&server->due);
    loop_task_init(&server->turn, on_turn);
    buf_init(&server->scratch, 0);
    server->ping = eio_encode(EIO_PACKET_PING, STR(""));
    server->probe = eio_encode(EIO_PACKET_PONG, STR("probe"));
    if (!server->ping || !server->probe) {
        eio_server_free(server);
        return NULL;
    }
    return server;
}

static void end_all(struct eio_server *server)
{
    struct eio_session *session;
    while ((session = eio_server_next(server))) {
        eio_session_end(session, EIO_CLOSE_SERVER);
    }
}

void eio_server_free(struct eio_server *server)
{
    if (!server) {
        return;
    }
    end_all(server);
    while (!list_empty(&server->due)) {
        work(&server->due);
    }
    loop_task_cancel(&server->turn);
    eio_relay_free(server->relay);
    map_fini(&server->by_sid);
    buf_fini(&server->scratch);
    rcbuf_unref(&server->ping);
    rcbuf_unref(&server->probe);
    free(server);
}

void eio_server_set_http(struct eio_server *server, const struct http_server *http)
{
    server->http = http;
}

const struct eio_server_stats *eio_server_stats(const struct eio_server *server)
{
    return &server->stats;
}

size_t eio_server_max_sessions(const struct eio_server *server)
{
    return server->options->max_sessions;
}
