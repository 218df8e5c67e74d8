#include "redis_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "util/clock.h"

enum { WORDS_MAX = 16 };

static void append(char *text, size_t cap, const char *more)
{
    size_t len = strlen(text);
    snprintf(text + len, cap - len, "%s%s", len > 0 ? " " : "", more);
}

static void describe(const redisReply *reply, char *text, size_t cap)
{
    char number[32];
    if (reply->type == REDIS_REPLY_INTEGER) {
        snprintf(number, sizeof number, "%lld", reply->integer);
        append(text, cap, number);
    } else if (reply->type == REDIS_REPLY_ARRAY) {
        for (size_t i = 0; i < reply->elements; i++) {
            describe(reply->element[i], text, cap);
        }
    } else {
        append(text, cap, reply->str ? reply->str : "(nil)");
    }
}

static void on_up(void *owner)
{
    struct redis_peer *peer = owner;
    peer->ups++;
}

static void on_down(void *owner, enum err err, const char *why)
{
    struct redis_peer *peer = owner;
    peer->downs++;
    peer->last_err = err;
    snprintf(peer->why, sizeof peer->why, "%s", why);
}

static void on_push(void *owner, const struct redisReply *reply)
{
    struct redis_peer *peer = owner;
    peer->pushes++;
    peer->push[0] = '\0';
    describe(reply, peer->push, sizeof peer->push);
}

static void on_reply(void *context, enum err err, const struct redisReply *reply)
{
    struct redis_peer *peer = context;
    if (err) {
        peer->closed++;
        return;
    }
    peer->answers++;
    peer->errors += reply->type == REDIS_REPLY_ERROR;
    peer->reply[0] = '\0';
    describe(reply, peer->reply, sizeof peer->reply);
}

const struct redis_link_ops redis_peer_ops = {on_up, on_down, on_push};

struct redis_link_options redis_peer_options(const struct redis_server *server)
{
    return (struct redis_link_options){
        .host = "127.0.0.1",
        .port = server->port,
        .client_name = "test",
        .connect_timeout_ms = 10000,
        .reply_timeout_ms = 10000,
        .backoff_min_ms = 5,
        .backoff_max_ms = 50,
        .reconnect = true,
    };
}

void redis_peer_open(struct redis_peer *peer, const struct redis_link_options *options)
{
    *peer = (struct redis_peer){.loop = loop_new(), .options = *options};
    assert_non_null(peer->loop);
    peer->link = redis_link_new(peer->loop, &peer->options, &redis_peer_ops, peer);
    assert_non_null(peer->link);
}

void redis_peer_close(struct redis_peer *peer)
{
    redis_link_free(peer->link);
    loop_free(peer->loop);
}

enum err redis_peer_send(struct redis_peer *peer, const struct str *args, size_t count)
{
    return redis_link_send(peer->link, args, count, on_reply, peer);
}

enum err redis_peer_tell(struct redis_peer *peer, const char *command)
{
    struct str args[WORDS_MAX];
    size_t count = 0;
    struct str rest = str_from(command);
    while (count < WORDS_MAX && str_split(&rest, ' ', &args[count])) {
        count++;
    }
    return redis_peer_send(peer, args, count);
}

void redis_peer_ask(struct redis_peer *peer, const char *command)
{
    unsigned before = peer->answers + peer->closed;
    assert_int_equal(redis_peer_tell(peer, command), OK);
    PUMP_UNTIL(peer->loop, peer->answers + peer->closed > before);
}
