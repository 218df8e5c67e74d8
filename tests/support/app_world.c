#include "app_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jwt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/request.h"
#include "util/clock.h"

static const char secret[] = "a secret of at least thirty-two bytes";

/* --- In place of engineio/session.c --- */

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
    return session->world->sockets;
}

enum err eio_session_send(struct eio_session *session, struct rcbuf *packet)
{
    bool binary;
    if (session->closed || session->stuck) {
        return ERR_CLOSED;
    }
    /* As in life, a client that can't be given a packet is lost. */
    enum err err = buf_append(&session->sent, eio_encoded_payload(packet, &binary));
    err = err ? err : buf_append_char(&session->sent, '\n');
    if (err) {
        eio_session_close(session, EIO_CLOSE_TRANSPORT);
    }
    return err;
}

void eio_session_fetch(const struct eio_session *session)
{
    (void)session;
}

void eio_session_fetch_conn(const struct eio_session *session)
{
    (void)session;
}

enum err eio_session_send_batch(struct eio_session *session, struct eio_batch *batch)
{
    enum err err = OK;
    for (size_t i = 0; i < batch->count && !err; i++) {
        err = eio_session_send(session, batch->packets[i]);
    }
    return err;
}

void eio_session_close(struct eio_session *session, enum eio_close_reason reason)
{
    if (!session->closed) {
        session->closed = true;
        session->reason = reason;
    }
}

/* Without an allocation: a test may make them fail. */
static void hand(struct eio_session *session, struct str text)
{
    assert_true(text.len < sizeof session->handed);
    snprintf(session->handed, sizeof session->handed, STR_FMT, STR_ARG(text));
    session->handed_len = text.len;
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

/* What is sent to it from now on is too late. */
void eio_session_hand_over(struct eio_session *session, struct str rest)
{
    hand(session, rest);
    eio_session_close(session, EIO_CLOSE_MOVED);
}

const char *eio_session_peer(const struct eio_session *session)
{
    (void)session;
    return "peer";
}

const char *eio_session_transport(const struct eio_session *session)
{
    (void)session;
    return "websocket";
}

const char *eio_close_reason_name(enum eio_close_reason reason)
{
    (void)reason;
    return "reason";
}

/* --- The world --- */

void app_world_init(struct app_world *world)
{
    *world = (struct app_world){0};
    static const char *const durable[] = {"--appendonly", "yes", "--appendfsync", "always", NULL};
    redis_server_start(&world->redis, durable, false);
    world->redis_options = redis_peer_options(&world->redis);
    world->options = (struct app_options){
        .auth = {.secret = secret},
        .token_expiring_ms = 60000,
        .token_cache = 100,
        .token_cache_ttl_ms = 60000,
        .subscribe_timeout_ms = 100,
        .linger_ms = 100,
        .max_idle_rooms = 1000,
        .max_rooms = 5,
        .bus = {.keys = {STR("guesslyfe:"), 1},
                .redis = &world->redis_options,
                .batch = 100,
                .gateway_id = "gateway",
                .probe_interval_ms = 1000,
                .history = {[ROOM_MARKET] = {100, 300},
                            [ROOM_CREATOR] = {100, 300},
                            [ROOM_USER] = {50, 86400},
                            [ROOM_GLOBAL] = {10, 3600}}},
        .recovery_window_ms = 60000,
        .recovery_bytes = 1000000,
        .recent_bytes = 1000000,
        .max_history = 100,
        .heartbeat_ms = 2000,
    };
    world->sio_options = (struct sio_server_options){.connect_timeout_ms = 60000,
                                                     .attachment_timeout_ms = 60000,
                                                     .max_attachments = 10,
                                                     .max_payload = 1000000,
                                                     .max_depth = 32};
}

static void open_gateway(struct app_world *world)
{
    world->app = app_new(world->peer.loop, &world->options);
    assert_non_null(world->app);
    world->namespace = app_namespace(world->app);
    world->sockets = sio_server_new(world->peer.loop, &world->sio_options, &world->namespace, 1);
    assert_non_null(world->sockets);
}

void app_world_open(struct app_world *world)
{
    redis_peer_open(&world->peer, &world->redis_options);
    world->publisher = &world->peer;
    open_gateway(world);
    PUMP_UNTIL(world->peer.loop,
               world->peer.ups == 1 && bus_subscriber_ready(world->app->subscriber));
}

void app_world_open_beside(struct app_world *other, struct app_world *world)
{
    *other = *world;
    other->options.bus.redis = &world->redis_options;
    other->options.bus.gateway_id = "another";
    open_gateway(other);
    PUMP_UNTIL(other->peer.loop, bus_subscriber_ready(other->app->subscriber));
}

static void close_gateway(struct app_world *world)
{
    sio_server_free(world->sockets);
    app_free(world->app);
}

void app_world_close_beside(struct app_world *other)
{
    close_gateway(other);
}

void app_world_close(struct app_world *world)
{
    close_gateway(world);
    redis_peer_close(&world->peer);
    redis_server_stop(&world->redis);
}

char *app_world_token(const char *claims)
{
    jwt_t *jwt;
    assert_int_equal(jwt_new(&jwt), 0);
    assert_int_equal(jwt_add_grants_json(jwt, claims), 0);
    assert_int_equal(
        jwt_set_alg(jwt, JWT_ALG_HS256, (const unsigned char *)secret, (int)strlen(secret)), 0);
    char *token = jwt_encode_str(jwt);
    jwt_free(jwt);
    assert_non_null(token);
    return token;
}

static void ask(struct app_world *world, const struct str *args, size_t count)
{
    assert_int_equal(redis_peer_send(world->publisher, args, count), OK);
    PUMP_UNTIL(world->peer.loop, redis_link_pending(world->peer.link) == 0);
}

unsigned app_world_publish(struct app_world *world, const char *room, const char *header,
                           struct str payload)
{
    struct buf channel, message;
    buf_init(&channel, 0);
    buf_init(&message, 0);
    assert_int_equal(buf_printf(&channel, "guesslyfe:{0}:room:%s", room), OK);
    assert_int_equal(buf_printf(&message, "%s\n", header), OK);
    assert_int_equal(buf_append(&message, payload), OK);
    struct str args[] = {STR("PUBLISH"), buf_str(&channel), buf_str(&message)};
    ask(world, args, ARRAY_LEN(args));
    buf_fini(&channel);
    buf_fini(&message);
    return (unsigned)atoi(world->publisher->reply);
}

/* --- The publish script --- */

enum { EMIT_WORDS_MAX = 64 };

/* Words that live until they were sent. */
struct words {
    struct str list[EMIT_WORDS_MAX];
    struct buf texts[EMIT_WORDS_MAX];
    size_t count;
};

static struct buf *add_word(struct words *words)
{
    assert_true(words->count < EMIT_WORDS_MAX);
    return &words->texts[words->count++];
}

static void add_text(struct words *words, const char *text)
{
    assert_int_equal(buf_append(add_word(words), str_from(text)), OK);
}

static void add_number(struct words *words, uint64_t number)
{
    assert_int_equal(buf_append_u64(add_word(words), number), OK);
}

static void add_log(struct words *words, const struct app_world *world, struct str room)
{
    struct room_name name;
    assert_int_equal(room_name_parse(room, &name), OK);
    struct bus_history history = world->options.bus.history[name.kind];
    assert_int_equal(bus_channel_name(&world->options.bus.keys, room, add_word(words)), OK);
    add_number(words, history.length);
    add_number(words, history.age_seconds);
}

static size_t add_log_keys(struct words *words, const struct app_world *world, struct str rooms)
{
    size_t count = 0;
    for (struct str room; str_split(&rooms, ',', &room); count++) {
        assert_int_equal(bus_log_key(&world->options.bus.keys, room, add_word(words)), OK);
    }
    return count;
}

static void call_publish(struct app_world *world, struct words *words)
{
    for (size_t i = 0; i < words->count; i++) {
        words->list[i] = buf_str(&words->texts[i]);
    }
    ask(world, words->list, words->count);
    for (size_t i = 0; i < words->count; i++) {
        buf_fini(&words->texts[i]);
    }
}

/* Its rooms are all of one. */
static unsigned partition_of(const struct app_world *world, struct str rooms)
{
    struct str room;
    str_split(&rooms, ',', &room);
    return bus_partition(&world->options.bus.keys, room);
}

uint64_t app_world_emit(struct app_world *world, const char *event, const char *rooms,
                        const char *payload)
{
    struct words words = {0};
    struct str rest = str_from(rooms);
    add_text(&words, "EVAL");
    assert_int_equal(buf_append(add_word(&words), bus_publish_script.text), OK);
    struct buf *keys = add_word(&words);
    assert_int_equal(
        bus_clock_key(&world->options.bus.keys, partition_of(world, rest), add_word(&words)), OK);
    size_t logs = add_log_keys(&words, world, rest);
    assert_int_equal(buf_append_u64(keys, 1 + logs), OK);
    add_text(&words, event);
    add_text(&words, rooms);
    add_text(&words, payload);
    add_number(&words, 0);
    for (struct str room; str_split(&rest, ',', &room);) {
        add_log(&words, world, room);
    }
    call_publish(world, &words);
    return strtoull(world->publisher->reply, NULL, 10);
}

/* A message to a room of its own comes behind all that Redis was asked and has sent before. */
void app_world_settle(struct app_world *world)
{
    struct eio_session witness;
    assert_true(person_open(world, &witness));
    person_connects(&witness, "witness", NULL);
    person_hears_begin(&witness, "40{");
    person_hears_begin(&witness, "42[\"connected\"");
    while (app_world_publish(world, "user:witness", "0 0 notification user:witness", STR("{}")) ==
           0) {
    }
    person_hears(&witness, "42[\"notification\",{}]");
    person_leaves(&witness);
}

unsigned app_world_members(struct app_world *world, const char *room)
{
    const struct app_room *found = app_rooms_find(&world->app->rooms, str_from(room));
    return found && !found->is_idle ? found->count : 0;
}

/* --- Persons --- */

enum err person_arrives_with(struct app_world *world, struct eio_session *person, struct str state)
{
    *person = (struct eio_session){.world = world};
    assert_true(sio_server_session_ops()->room_size <= sizeof person->room);
    enum err err = sio_server_session_ops()->on_arrive(world->sockets, person, state);
    person->open = !err;
    return err;
}

bool person_open(struct app_world *world, struct eio_session *person)
{
    struct http_request request = {0};
    *person = (struct eio_session){.world = world};
    assert_true(sio_server_session_ops()->room_size <= sizeof person->room);
    person->open = !sio_server_session_ops()->on_open(world->sockets, person, &request);
    return person->open;
}

void person_says(struct eio_session *person, const char *text)
{
    if (person->open && !person->closed) {
        sio_server_session_ops()->on_message(person, false, str_from(text));
    }
}

/* `more` goes into the auth object, in front of the token. */
static void connect_with(struct eio_session *person, const char *sub, const char *address,
                         const char *more)
{
    char claims[512], text[1024];
    if (address) {
        snprintf(claims, sizeof claims, "{\"sub\":\"%s\",\"address\":\"%s\"}", sub, address);
    } else {
        snprintf(claims, sizeof claims, "{\"sub\":\"%s\"}", sub);
    }
    char *token = app_world_token(claims);
    snprintf(text, sizeof text, "0{%s\"token\":\"%s\"}", more, token);
    free(token);
    person_says(person, text);
}

void person_connects(struct eio_session *person, const char *sub, const char *address)
{
    connect_with(person, sub, address, "");
}

void person_joins(struct app_world *world, struct eio_session *person, const char *sub,
                  const char *address)
{
    assert_true(person_open(world, person));
    person_connects(person, sub, address);
    person_hears_begin(person, "40{\"sid\":");
    person_hears_begin(person, "42[\"connected\",");
}

void person_leaves(struct eio_session *person)
{
    if (person->open) {
        person->open = false;
        sio_server_session_ops()->on_close(person,
                                           person->closed ? person->reason : EIO_CLOSE_TRANSPORT);
    }
    buf_fini(&person->sent);
    buf_fini(&person->line);
}

static const char *next_packet(struct eio_session *person, const char *expected)
{
    uint64_t until = clock_monotonic_us() + 10000000;
    while (person->sent.len == 0) {
        if (clock_monotonic_us() > until) {
            fail_msg("not heard: %s", expected);
        }
        assert_int_equal(loop_turn(person->world->peer.loop, 5), OK);
    }
    size_t len = str_find(buf_str(&person->sent), '\n');
    buf_clear(&person->line);
    assert_int_equal(buf_append(&person->line, str_range(person->sent.data, len)), OK);
    buf_consume(&person->sent, len + 1);
    return buf_cstr(&person->line);
}

void person_hears(struct eio_session *person, const char *packet)
{
    assert_string_equal(next_packet(person, packet), packet);
}

void person_hears_begin(struct eio_session *person, const char *beginning)
{
    const char *packet = next_packet(person, beginning);
    if (strncmp(packet, beginning, strlen(beginning)) != 0) {
        assert_string_equal(packet, beginning);
    }
}

void person_hears_nothing(struct eio_session *person)
{
    app_world_settle(person->world);
    if (person->sent.len > 0) {
        assert_string_equal(buf_cstr(&person->sent), "");
    }
}

/* --- Those who come back --- */

void person_asks_to_recover(struct eio_session *person, const char *sub, const char *address,
                            const struct person_past *past)
{
    char more[256], offset[64] = "";
    if (past->offset[0]) {
        snprintf(offset, sizeof offset, "\"offset\":\"%s\",", past->offset);
    }
    snprintf(more, sizeof more, "\"recovery\":true,\"pid\":\"%s\",%s", past->pid, offset);
    connect_with(person, sub, address, more);
}

void person_is_accepted(struct eio_session *person, struct person_past *past)
{
    struct person_past now;
    person_hears_begin(person, "40{\"sid\":\"");
    assert_int_equal(sscanf(buf_cstr(&person->line),
                            "40{\"sid\":\"%20[^\"]\",\"pid\":\"%24[^\"]\"}", now.sid, now.pid),
                     2);
    past->recovered = strcmp(past->pid, now.pid) == 0;
    memcpy(past->sid, now.sid, sizeof now.sid);
    memcpy(past->pid, now.pid, sizeof now.pid);
}

void person_comes(struct app_world *world, struct eio_session *person, const char *sub,
                  struct person_past *past)
{
    assert_true(person_open(world, person));
    person_asks_to_recover(person, sub, NULL, past);
    person_is_accepted(person, past);
}

void person_arrives(struct app_world *world, struct eio_session *person, const char *sub,
                    struct person_past *past)
{
    person_comes(world, person, sub, past);
    person_hears_event(person, past, "42[\"connected\"");
}

void person_hears_event(struct eio_session *person, struct person_past *past, const char *packet)
{
    person_hears_begin(person, packet);
    const char *end = strrchr(buf_cstr(&person->line), ',');
    bool whole = packet[strlen(packet) - 1] == '}';
    assert_non_null(end);
    assert_true(!whole || end == buf_cstr(&person->line) + strlen(packet));
    assert_int_equal(sscanf(end, ",\"%23[0-9]\"]", past->offset), 1);
}

/* In any order: rooms are entered as they become live. */
static void assert_same_rooms(struct str list, struct str expected)
{
    assert_int_equal(list.len, expected.len);
    list = str_range(list.ptr + 1, list.len - 2);
    for (struct str room; str_split(&list, ',', &room);) {
        if (!memmem(expected.ptr, expected.len, room.ptr, room.len)) {
            fail_msg("not expected: " STR_FMT, STR_ARG(room));
        }
    }
}

void person_is_greeted(struct eio_session *person, struct person_past *past, const char *rooms)
{
    person_hears_event(person, past, "42[\"connected\",");
    const char *start = strstr(buf_cstr(&person->line), "\"rooms\":[") + 8;
    const char *end = strchr(start, ']') + 1;
    assert_same_rooms(str_range(start, (size_t)(end - start)), str_from(rooms));
}
