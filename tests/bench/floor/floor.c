/*
 * The floor: what the same deliveries cost when nothing but the kernel's work is left. It takes the
 * load generator's clients (each request whole in one read, no token checked, no ping, no limit),
 * hears the room's events from Redis on the same channel, and sends each client one prebuilt piece
 * of memory: the frames of all events that have come, up to --batch of them, in one send().
 * With --batch 1 that is one bare send() a client and event. --lose and --repeat make it a bad
 * server on purpose, which the load generator must notice.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "answer.h"
#include "inbox.h"
#include "shared/options.h"
#include "shared/process.h"
#include "shared/wire.h"
#include "util/attr.h"

enum { FDS_MAX = 20000, EVENTS_PER_TURN = 256, SCRATCH_SIZE = 64 * 1024, BACKLOG = 4096 };
enum { BATCH_MAX = 256, FRAME_MAX = 1024 };

enum stage { STAGE_HTTP, STAGE_OPEN, STAGE_SUBSCRIBED };

struct floor {
    int epoll_fd;
    int listener;
    struct inbox inbox;
    unsigned batch;
    unsigned char stage[FDS_MAX]; /* by descriptor */
    int place[FDS_MAX];           /* by descriptor: where in subscribed[] */
    int subscribed[FDS_MAX];
    unsigned subscribed_count;
    char frames[BATCH_MAX * FRAME_MAX];
    size_t frames_len;
    unsigned frames_count;
    unsigned events;    /* heard so far */
    unsigned lose_at;   /* this event does not reach the last client; 0 for none */
    unsigned repeat_at; /* this event reaches the last client twice; 0 for none */
};

static void die(const char *what)
{
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static void watch(struct floor *fl, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(fl->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        die("epoll_ctl");
    }
}

static void drop(struct floor *fl, int fd)
{
    if (fl->stage[fd] == STAGE_SUBSCRIBED) {
        int last = fl->subscribed[--fl->subscribed_count];
        fl->subscribed[fl->place[fd]] = last;
        fl->place[last] = fl->place[fd];
    }
    fl->stage[fd] = STAGE_HTTP;
    close(fd);
}

static void accept_all(struct floor *fl)
{
    for (;;) {
        int fd = accept4(fl->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        int on = 1;
        if (fd >= FDS_MAX || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0) {
            close(fd);
            continue;
        }
        fl->stage[fd] = STAGE_HTTP;
        watch(fl, fd);
    }
}

/* A client that does not take everything at once would be a benchmark of something else. */
static void send_all(int fd, const char *bytes, size_t len)
{
    if (send(fd, bytes, len, MSG_NOSIGNAL) != (ssize_t)len) {
        die("a client does not take what it is sent");
    }
}

static void subscribe(struct floor *fl, int fd)
{
    fl->stage[fd] = STAGE_SUBSCRIBED;
    fl->place[fd] = (int)fl->subscribed_count;
    fl->subscribed[fl->subscribed_count++] = fd;
}

static void take_frame(struct floor *fl, int fd, const struct wire_frame *frame)
{
    char out[ANSWER_MAX];
    if (frame->opcode == WIRE_TEXT && frame->len > 2 && memcmp(frame->payload, "40", 2) == 0) {
        send_all(fd, out, answer_connect(out));
    } else if (frame->opcode == WIRE_TEXT && frame->len > 3 && fl->stage[fd] == STAGE_OPEN &&
               memcmp(frame->payload, "420", 3) == 0) {
        subscribe(fl, fd);
        send_all(fd, out, answer_subscribe(out));
    } else {
        drop(fl, fd);
    }
}

static void serve(struct floor *fl, int fd)
{
    static char scratch[SCRATCH_SIZE];
    ssize_t n = recv(fd, scratch, sizeof(scratch), 0);
    if (n <= 0) {
        drop(fl, fd);
        return;
    }
    if (fl->stage[fd] == STAGE_HTTP) {
        char out[ANSWER_MAX];
        fl->stage[fd] = STAGE_OPEN;
        send_all(fd, out, answer_upgrade(out));
        return;
    }
    struct wire_frame frame;
    if (wire_parse(scratch, (size_t)n, &frame) == OK && frame.masked) {
        take_frame(fl, fd, &frame);
    } else {
        drop(fl, fd);
    }
}

static void broadcast(struct floor *fl)
{
    for (unsigned i = 0; i < fl->subscribed_count; i++) {
        send_all(fl->subscribed[i], fl->frames, fl->frames_len);
    }
    fl->frames_len = 0;
    fl->frames_count = 0;
}

/* Does to the last client what a bad server would (with --batch 1, to one event alone). */
static void misdeliver(struct floor *fl)
{
    if (fl->subscribed_count > 0 && fl->events == fl->repeat_at) {
        send_all(fl->subscribed[fl->subscribed_count - 1], fl->frames, fl->frames_len);
    } else if (fl->subscribed_count > 0 && fl->events == fl->lose_at) {
        fl->subscribed_count--;
        broadcast(fl);
        fl->subscribed_count++;
    }
}

/* The payload of one message from Redis: header line, newline, JSON. */
static void on_message(void *arg, const char *message, size_t len)
{
    static const char opening[] = "42[\"market:trade\",";
    struct floor *fl = arg;
    const char *json = memchr(message, '\n', len);
    char packet[FRAME_MAX];
    size_t json_len = json == NULL ? 0 : len - (size_t)(++json - message);
    size_t packet_len = strlen(opening) + json_len + 1;
    if (json_len == 0 || packet_len + WIRE_HEAD_MAX > FRAME_MAX) {
        return;
    }
    memcpy(packet, opening, strlen(opening));
    memcpy(packet + strlen(opening), json, json_len);
    packet[packet_len - 1] = ']';
    fl->frames_len += wire_server_frame(fl->frames + fl->frames_len, WIRE_TEXT, packet, packet_len);
    fl->frames_count++;
    fl->events++;
    if (fl->events == fl->lose_at || fl->events == fl->repeat_at) {
        misdeliver(fl);
    }
    if (fl->frames_count == fl->batch) {
        broadcast(fl);
    }
}

static void hear(struct floor *fl)
{
    enum err err = inbox_read(&fl->inbox, on_message, fl);
    if (err != OK && err != ERR_AGAIN) {
        die("Redis is gone");
    }
    if (fl->frames_count > 0) {
        broadcast(fl);
    }
}

static void turn(struct floor *fl)
{
    struct epoll_event events[EVENTS_PER_TURN];
    int n = epoll_wait(fl->epoll_fd, events, EVENTS_PER_TURN, -1);
    for (int i = 0; i < n; i++) {
        int fd = events[i].data.fd;
        if (fd == fl->listener) {
            accept_all(fl);
        } else if (fd == fl->inbox.fd) {
            hear(fl);
        } else {
            serve(fl, fd);
        }
    }
}

static int listen_on(unsigned port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, BACKLOG) != 0) {
        die("listen");
    }
    return fd;
}

static void run(struct floor *fl, unsigned port, unsigned redis_port)
{
    process_allow_files();
    if (inbox_open(&fl->inbox, redis_port, "guesslyfe:{0}:room:market:1") != OK) {
        die("Redis");
    }
    fl->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    fl->listener = listen_on(port);
    watch(fl, fl->listener);
    watch(fl, fl->inbox.fd);
    for (;;) {
        turn(fl);
    }
}

struct settings {
    unsigned port;
    unsigned redis_port;
    unsigned batch;
    unsigned lose_at; /* 0: nothing is lost; likewise */
    unsigned repeat_at;
};

#define AT(member) offsetof(struct settings, member)

static const struct option_row rows[] = {
    {"port", "P", UINT16_MAX, AT(port), "to listen on, on 127.0.0.1"},
    {"redis-port", "P", UINT16_MAX, AT(redis_port), "of Redis, on 127.0.0.1"},
    {"batch", "N", BATCH_MAX, AT(batch), "frames that go out in one send() at most (1)"},
    {"lose", "EVENT", UINT32_MAX, AT(lose_at), "this one does not reach the last client"},
    {"repeat", "EVENT", UINT32_MAX, AT(repeat_at), "this one reaches the last client twice"},
};

static const struct options options = {
    .head = "floor --port P --redis-port P [options]\n",
    .foot = "",
    .rows = rows,
    .count = ARRAY_LEN(rows),
};

int main(int argc, char **argv)
{
    static struct floor fl;
    struct settings settings = {.batch = 1};
    if (options_read(&options, argc, argv, &settings) != argc || settings.port == 0 ||
        settings.redis_port == 0) {
        options_misused(&options);
    }
    fl.batch = settings.batch;
    fl.lose_at = settings.lose_at;
    fl.repeat_at = settings.repeat_at;
    run(&fl, settings.port, settings.redis_port);
}
