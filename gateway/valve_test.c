/* A burst through real Redis to a room of many: read as fast as it comes, it would bury the clients
 * that a pass over the room has not come to yet. */
#include "valve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../tests/bench/load/token.h"
#include "gateway.h"
#include "redis_peer.h"
#include "util/clock.h"
#include "websocket/frame.h"

static char secret[] = "a secret of thirty-two bytes, or more";

enum {
    CLIENTS = 500,
    QUEUE_BYTES = 4 * 1024 * 1024, /* the default */
    PATIENCE_MS = 240000,
    KEPT = 128, /* of a frame, its beginning */
};

/* One WebSocket client that keeps the beginning of the frame it is reading. */
struct reader {
    int fd;
    char kept[KEPT];
    size_t kept_len;
    uint64_t to_skip;  /* of the frame's payload, behind what is kept */
    unsigned messages; /* of the burst, in order so far */
    bool connected;    /* the event */
};

/* More than a client's queue would hold. */
struct burst {
    unsigned messages, bytes; /* of each */
};

static struct reader readers[CLIENTS];
static char chunk[256 * 1024];

static void send_text(int fd, const char *text)
{
    char frame[1024] = {(char)0x81};
    size_t len = strlen(text), head = 8;
    assert_in_range(len, 126, sizeof frame - head);
    frame[1] = (char)(0x80 | 126);
    frame[2] = (char)(len >> 8);
    frame[3] = (char)len; /* then a mask of zeros */
    memcpy(frame + head, text, len);
    assert_int_equal(send(fd, frame, head + len, 0), (ssize_t)(head + len));
}

/* A frame has begun, and enough of it is kept to tell what it is. */
static void on_frame(struct reader *reader, const char *payload)
{
    unsigned number;
    if (sscanf(payload, "42[\"market:created\",{\"n\":%u,", &number) == 1) {
        assert_int_equal(number, ++reader->messages);
    } else if (strstr(payload, "42[\"connected\"")) {
        reader->connected = true;
    }
}

/* Takes from the beginning of the bytes; how many. */
static size_t take(struct reader *reader, struct str bytes)
{
    if (reader->to_skip > 0) {
        size_t n = bytes.len < reader->to_skip ? bytes.len : (size_t)reader->to_skip;
        reader->to_skip -= n;
        return n;
    }
    size_t before = reader->kept_len;
    size_t n = bytes.len < KEPT - 1 - before ? bytes.len : KEPT - 1 - before;
    memcpy(reader->kept + before, bytes.ptr, n);
    reader->kept_len += n;
    reader->kept[reader->kept_len] = '\0';
    struct ws_frame_header header;
    enum err err = ws_frame_parse(str_range(reader->kept, reader->kept_len), &header);
    size_t all = err ? 0 : header.size + (size_t)header.length;
    size_t wanted = all < KEPT - 1 ? all : KEPT - 1;
    if (err == ERR_AGAIN || (!err && reader->kept_len < wanted)) {
        return n;
    }
    assert_int_equal(err, OK);
    assert_int_not_equal(header.opcode, WS_CLOSE);
    reader->kept[wanted] = '\0';
    on_frame(reader, reader->kept + header.size);
    reader->kept_len = 0;
    reader->to_skip = all - wanted;
    return wanted - before;
}

/* Everything that has come. No client here is ever slow: the gateway alone sets the pace. */
static void drain(struct reader *reader)
{
    ssize_t n;
    while ((n = recv(reader->fd, chunk, sizeof chunk, MSG_DONTWAIT)) > 0) {
        for (struct str rest = {chunk, (size_t)n}; rest.len > 0;) {
            rest = str_skip(rest, take(reader, rest));
        }
    }
    assert_true(n < 0 && errno == EAGAIN); /* not disconnected */
}

static void turn(struct loop *loop)
{
    assert_int_equal(loop_turn(loop, 5), OK);
    for (unsigned i = 0; i < CLIENTS; i++) {
        drain(&readers[i]);
    }
}

static void ask_for_websocket(struct reader *reader, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    static const char request[] = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n"
                                  "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                                  "Sec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    *reader = (struct reader){.fd = socket(AF_INET, SOCK_STREAM, 0)};
    assert_int_equal(connect(reader->fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(send(reader->fd, request, sizeof request - 1, 0), sizeof request - 1);
}

/* The answer ends with an empty line; the frames begin behind it. */
static void await_websocket(struct reader *reader, struct loop *loop)
{
    char tail[4] = "";
    char byte;
    uint64_t until = clock_monotonic_ms() + 30000;
    while (memcmp(tail, "\r\n\r\n", 4) != 0) {
        assert_true(clock_monotonic_ms() < until);
        if (recv(reader->fd, &byte, 1, MSG_DONTWAIT) == 1) {
            memmove(tail, tail + 1, 3);
            tail[3] = byte;
        } else {
            assert_int_equal(loop_turn(loop, 5), OK);
        }
    }
}

static void open_readers(struct loop *loop, uint16_t port)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        char token[TOKEN_MAX], text[TOKEN_MAX + 32];
        ask_for_websocket(&readers[i], port);
        await_websocket(&readers[i], loop);
        assert_int_equal(token_make(secret, i, token), OK);
        snprintf(text, sizeof text, "40{\"token\":\"%s\"}", token);
        send_text(readers[i].fd, text);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        while (!readers[i].connected) {
            turn(loop);
        }
    }
}

/* The strings of the settings; the caller's. */
static char *load_settings(struct gateway_settings *settings, const struct redis_server *redis)
{
    char redis_port[8], queue[16];
    struct buf complaint;
    char *strings = NULL;
    snprintf(redis_port, sizeof redis_port, "%u", redis->port);
    snprintf(queue, sizeof queue, "%d", QUEUE_BYTES);
    const char *flags[] = {"gateway",   "--port",
                           "0",         "--ops-port",
                           "0",         "--host",
                           "127.0.0.1", "--jwt-secret",
                           secret,      "--redis-host",
                           "127.0.0.1", "--redis-port",
                           redis_port,  "--client-queue-bytes",
                           queue};
    int rest;
    memset(settings, 0, sizeof *settings);
    buf_init(&complaint, 0);
    assert_int_equal(config_load(gateway_option_table(), ARRAY_LEN(flags), (char **)flags, settings,
                                 &rest, &strings, &complaint),
                     OK);
    assert_int_equal(gateway_settings_check(settings, &complaint), OK);
    buf_fini(&complaint);
    settings->redis.reconnect = true;
    return strings;
}

/* All at once: one script, which Redis runs to its end before it writes anything. */
static void publish_burst(struct redis_peer *peer, const struct burst *burst)
{
    char script[512], count[16], size[16];
    snprintf(count, sizeof count, "%u", burst->messages);
    snprintf(size, sizeof size, "%u", burst->bytes);
    snprintf(
        script, sizeof script,
        "local pad = string.rep('x', tonumber(ARGV[2])) for n = 1, tonumber(ARGV[1]) do "
        "redis.call('PUBLISH', 'guesslyfe:{0}:room:global:all', "
        "'0 0 market:created global:all\\n{\"n\":' .. n .. ',\"pad\":\"' .. pad .. '\"}') end");
    struct str args[] = {STR("EVAL"), str_from(script), STR("0"), str_from(count), str_from(size)};
    assert_int_equal(redis_peer_send(peer, args, ARRAY_LEN(args)), OK);
}

static bool all_have(unsigned messages)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (readers[i].messages < messages) {
            return false;
        }
    }
    return true;
}

static void run(const struct burst *burst)
{
    /* However long a busy machine takes for it, Redis is to keep what it has for us. */
    static const char *const extra[] = {"--client-output-buffer-limit", "pubsub 0 0 0", NULL};
    struct redis_server redis;
    struct redis_peer peer;
    struct gateway_settings settings;
    struct gateway *gateway = NULL;
    struct buf complaint;
    buf_init(&complaint, 0);
    redis_server_start(&redis, extra, false);
    struct redis_link_options options = redis_peer_options(&redis);
    redis_peer_open(&peer, &options);
    char *strings = load_settings(&settings, &redis);
    assert_int_equal(gateway_open(peer.loop, &settings, &gateway, &complaint), OK);
    PUMP_UNTIL(peer.loop, peer.ups == 1);
    open_readers(peer.loop, gateway_port(gateway));

    publish_burst(&peer, burst);
    const struct net_server_stats *stats = gateway_net_stats(gateway);
    uint64_t most = 0, until = clock_monotonic_ms() + PATIENCE_MS;
    while (!all_have(burst->messages)) {
        turn(peer.loop);
        most = stats->queued_bytes > most ? stats->queued_bytes : most;
        assert_true(clock_monotonic_ms() < until);
    }
    assert_int_equal(stats->connections, CLIENTS);
    print_message("at most %llu bytes of references queued a client\n",
                  (unsigned long long)(most / CLIENTS));
    assert_in_range(most, 1, (uint64_t)CLIENTS * 1024 * 1024);

    for (unsigned i = 0; i < CLIENTS; i++) {
        close(readers[i].fd);
    }
    gateway_close(gateway);
    redis_peer_close(&peer);
    redis_server_stop(&redis);
    free(strings);
    buf_fini(&complaint);
}

static void a_burst_of_large_messages_waits_with_redis(void **state)
{
    (void)state;
    run(&(struct burst){2500, 8000});
}

/* Many more than one system call takes. */
static void a_burst_of_small_messages_waits_with_redis(void **state)
{
    (void)state;
    run(&(struct burst){20000, 300});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_of_large_messages_waits_with_redis),
        cmocka_unit_test(a_burst_of_small_messages_waits_with_redis)};
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
