/*
 * Asks gateways all the time how they are, by GET /healthz of their operations ports, and how long
 * each took to answer. Each is asked every 250 ms, the others in between, on a kept connection; who
 * has not answered yet is not asked again, and counts as slow all the same.
 *
 * Standard input says whom: add HOST:PORT, drop HOST:PORT, take (print a line of JSON on what was
 * since the last take), sessions (the same on their clients, as they said last). Ends with it.
 *
 * On a crowded machine it is to measure the gateways and not its own place in the queue: it takes a
 * real-time priority where it may, and says by how much it was late itself.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "shared/histogram.h"
#include "util/clock.h"

enum {
    TARGETS_MAX = 1024,
    NAME_MAX_LEN = 31,
    ANSWER_MAX = 2048,
    COMMANDS_MAX = 65536,
    EVENTS_PER_TURN = 64,
    EVERY_US = 250000,
    LIMIT_US = 100000, /* for an answer */
    GIVE_UP_US = 10000000,
    INPUT = TARGETS_MAX, /* standard input among the targets' indices */
};

struct target {
    char name[NAME_MAX_LEN + 1]; /* HOST:PORT */
    struct sockaddr_in address;  /* all zero: nobody's place */
    int fd;
    uint64_t due_us;   /* when to ask next */
    uint64_t asked_us; /* a question is out since then; 0 where none is */
    unsigned answers;  /* since the last take */
    bool whole;        /* was here at the last take already */
    uint64_t sessions; /* as it said last */
    size_t len;        /* of the answer, as far as it has come */
    char answer[ANSWER_MAX];
};

struct asker {
    struct target targets[TARGETS_MAX];
    unsigned count; /* places in use, or given up again */
    int epoll_fd;
    const char *priority;
    struct histogram answers; /* this and what follows: since the last take */
    uint64_t late;            /* answers that took longer than the limit */
    uint64_t failed;          /* questions without a good answer */
    uint64_t own_late_us;     /* by how much, at most, we asked too late */
    char slowest[NAME_MAX_LEN + 1];
    char input[COMMANDS_MAX];
    size_t input_len;
};

static bool is_taken(const struct target *target)
{
    return target->address.sin_port != 0;
}

/* --- Questions and answers --- */

static void hang_up(struct target *target)
{
    if (target->fd >= 0) {
        close(target->fd);
    }
    target->fd = -1;
    target->asked_us = 0;
    target->len = 0;
}

static void fail(struct asker *asker, struct target *target)
{
    asker->failed++;
    hang_up(target);
}

/* The connection stands, or does not, when it is asked the next time. */
static void call(struct asker *asker, struct target *target)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)(target - asker->targets)};
    const struct sockaddr *to = (const struct sockaddr *)&target->address;
    target->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (target->fd < 0 ||
        (connect(target->fd, to, sizeof(target->address)) != 0 && errno != EINPROGRESS) ||
        epoll_ctl(asker->epoll_fd, EPOLL_CTL_ADD, target->fd, &event) != 0) {
        fail(asker, target);
    }
}

static void ask(struct asker *asker, struct target *target, uint64_t now_us)
{
    static const char question[] = "GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n";
    if (now_us - target->due_us > asker->own_late_us) {
        asker->own_late_us = now_us - target->due_us;
    }
    target->due_us = now_us + EVERY_US;
    if (target->fd < 0) {
        call(asker, target);
        return;
    }
    if (target->asked_us != 0) {
        if (now_us - target->asked_us > GIVE_UP_US) {
            fail(asker, target);
        }
        return;
    }
    target->asked_us = clock_monotonic_us();
    if (send(target->fd, question, strlen(question), MSG_NOSIGNAL) != (ssize_t)strlen(question)) {
        fail(asker, target);
    }
}

/* An answer has come, or none for so long already. */
static void count(struct asker *asker, const struct target *target, uint64_t us)
{
    if (us > asker->answers.max) {
        strcpy(asker->slowest, target->name);
    }
    histogram_add(&asker->answers, us);
    asker->late += us > LIMIT_US;
}

/* The body of a whole answer; NULL while it is not, or where it is none that we know. */
static const char *body_of(const struct target *target)
{
    static const char label[] = "\r\nContent-Length: ";
    const char *length = strcasestr(target->answer, label);
    const char *end = strstr(target->answer, "\r\n\r\n");
    if (end == NULL || length == NULL) {
        return NULL;
    }
    const char *body = end + 4;
    size_t wanted = strtoul(length + strlen(label), NULL, 10);
    return strlen(body) == wanted ? body : NULL;
}

static void take_answer(struct asker *asker, struct target *target, const char *body,
                        uint64_t now_us)
{
    static const char ok[] = "HTTP/1.1 200 ";
    const char *sessions = strstr(body, "\"sessions\":");
    if (target->asked_us == 0 || strncmp(target->answer, ok, strlen(ok)) != 0 || sessions == NULL) {
        fail(asker, target);
        return;
    }
    target->sessions = strtoul(strchr(sessions, ':') + 1, NULL, 10);
    target->answers++;
    count(asker, target, now_us - target->asked_us);
    target->asked_us = 0;
    target->len = 0;
}

static void read_answer(struct asker *asker, struct target *target)
{
    size_t room = ANSWER_MAX - 1 - target->len;
    ssize_t n = recv(target->fd, target->answer + target->len, room, 0);
    uint64_t now_us = clock_monotonic_us();
    if (n < 0 && errno == EAGAIN) {
        return; /* it was for the connection before this one */
    }
    if (n <= 0) {
        fail(asker, target);
        return;
    }
    target->len += (size_t)n;
    target->answer[target->len] = '\0';
    const char *body = body_of(target);
    if (body != NULL) {
        take_answer(asker, target, body, now_us);
    } else if (target->len == ANSWER_MAX - 1) {
        fail(asker, target);
    }
}

/* --- Commands --- */

/* The place of that address, or, with one that is all zero, a free place; NULL where there is none.
 */
static struct target *find(struct asker *asker, struct sockaddr_in address)
{
    for (unsigned i = 0; i < asker->count; i++) {
        const struct sockaddr_in *each = &asker->targets[i].address;
        if (each->sin_port == address.sin_port &&
            each->sin_addr.s_addr == address.sin_addr.s_addr) {
            return &asker->targets[i];
        }
    }
    return NULL;
}

static bool add(struct asker *asker, const char *name)
{
    struct sockaddr_in address;
    struct target *target = find(asker, (struct sockaddr_in){0});
    if (strlen(name) > NAME_MAX_LEN || !address_parse(name, &address) ||
        (target == NULL && asker->count == TARGETS_MAX)) {
        return false;
    }
    if (target == NULL) {
        target = &asker->targets[asker->count++];
    }
    /* All in turn: each has its own place in the 250 ms. */
    unsigned place = (unsigned)(target - asker->targets);
    uint64_t due_us = clock_monotonic_us() + place * UINT64_C(61803) % EVERY_US;
    *target = (struct target){.address = address, .fd = -1, .due_us = due_us};
    strcpy(target->name, name);
    call(asker, target);
    return true;
}

/* It has been slow until now as well. */
static void count_waiting(struct asker *asker, const struct target *target, uint64_t now_us)
{
    if (target->asked_us != 0 && now_us - target->asked_us > LIMIT_US) {
        count(asker, target, now_us - target->asked_us);
    }
}

static bool drop(struct asker *asker, const char *name)
{
    struct sockaddr_in address;
    struct target *target = address_parse(name, &address) ? find(asker, address) : NULL;
    if (target == NULL) {
        return false;
    }
    count_waiting(asker, target, clock_monotonic_us());
    hang_up(target);
    target->address = (struct sockaddr_in){0};
    return true;
}

struct sum {
    unsigned targets;
    unsigned least; /* answers of one that was here all the time */
    uint64_t sessions;
};

static struct sum sum_up(const struct asker *asker)
{
    struct sum sum = {.least = UINT32_MAX};
    for (unsigned i = 0; i < asker->count; i++) {
        const struct target *target = &asker->targets[i];
        if (is_taken(target)) {
            sum.targets++;
            sum.sessions += target->sessions;
            sum.least = target->whole && target->answers < sum.least ? target->answers : sum.least;
        }
    }
    sum.least = sum.least == UINT32_MAX ? 0 : sum.least;
    return sum;
}

static void start_anew(struct asker *asker)
{
    asker->answers = (struct histogram){0};
    asker->late = 0;
    asker->failed = 0;
    asker->own_late_us = 0;
    asker->slowest[0] = '\0';
    for (unsigned i = 0; i < asker->count; i++) {
        asker->targets[i].answers = 0;
        asker->targets[i].whole = true;
    }
}

static void take(struct asker *asker)
{
    uint64_t now_us = clock_monotonic_us();
    for (unsigned i = 0; i < asker->count; i++) {
        count_waiting(asker, &asker->targets[i], now_us);
    }
    struct sum sum = sum_up(asker);
    const struct histogram *answers = &asker->answers;
    printf("{\"gateways\":%u,\"asked\":%" PRIu64 ",\"least_asked\":%u,\"failed\":%" PRIu64
           ",\"late\":%" PRIu64 ",\"p50_us\":%" PRIu64 ",\"p99_us\":%" PRIu64 ",\"max_us\":%" PRIu64
           ",\"slowest\":\"%s\",\"own_late_us\":%" PRIu64 ",\"priority\":\"%s\"}\n",
           sum.targets, answers->total, sum.least, asker->failed, asker->late,
           histogram_quantile(answers, 0.5), histogram_quantile(answers, 0.99), answers->max,
           asker->slowest, asker->own_late_us, asker->priority);
    fflush(stdout);
    start_anew(asker);
}

static bool obey(struct asker *asker, const char *command)
{
    if (strncmp(command, "add ", 4) == 0) {
        return add(asker, command + 4);
    }
    if (strncmp(command, "drop ", 5) == 0) {
        return drop(asker, command + 5);
    }
    if (strcmp(command, "take") == 0) {
        take(asker);
        return true;
    }
    if (strcmp(command, "sessions") == 0) {
        printf("{\"sessions\":%" PRIu64 "}\n", sum_up(asker).sessions);
        fflush(stdout);
        return true;
    }
    return false;
}

/* False when there are no more; one that makes no sense ends the program. */
static bool read_commands(struct asker *asker)
{
    ssize_t n = read(STDIN_FILENO, asker->input + asker->input_len,
                     sizeof(asker->input) - 1 - asker->input_len);
    if (n <= 0) {
        return false;
    }
    asker->input_len += (size_t)n;
    asker->input[asker->input_len] = '\0';
    char *line = asker->input;
    for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        if (!obey(asker, line)) {
            fprintf(stderr, "health: this cannot be done: %s\n", line);
            exit(EXIT_FAILURE);
        }
    }
    asker->input_len = strlen(line);
    memmove(asker->input, line, asker->input_len);
    return true;
}

/* --- The loop --- */

static const char *rise(void)
{
    const struct sched_param first = {.sched_priority = 1};
    if (sched_setscheduler(0, SCHED_FIFO, &first) == 0) {
        return "real-time";
    }
    return setpriority(PRIO_PROCESS, 0, -10) == 0 ? "raised" : "ordinary";
}

/* Asks those that are due; returns how long nobody is. */
static uint64_t ask_due(struct asker *asker)
{
    uint64_t next_us = UINT64_MAX;
    uint64_t now_us = clock_monotonic_us();
    for (unsigned i = 0; i < asker->count; i++) {
        struct target *target = &asker->targets[i];
        if (!is_taken(target)) {
            continue;
        }
        if (target->due_us <= now_us) {
            ask(asker, target, now_us);
        }
        next_us = target->due_us < next_us ? target->due_us : next_us;
    }
    now_us = clock_monotonic_us();
    return next_us == UINT64_MAX ? EVERY_US : next_us > now_us ? next_us - now_us : 0;
}

static bool turn(struct asker *asker)
{
    struct epoll_event events[EVENTS_PER_TURN];
    uint64_t wait_us = ask_due(asker);
    const struct timespec wait = {.tv_nsec = (long)wait_us * 1000};
    int n = epoll_pwait2(asker->epoll_fd, events, EVENTS_PER_TURN, &wait, NULL);
    bool more = true;
    for (int i = 0; i < n; i++) {
        if (events[i].data.u32 == INPUT) {
            more = read_commands(asker);
        } else if (asker->targets[events[i].data.u32].fd >= 0) {
            read_answer(asker, &asker->targets[events[i].data.u32]);
        }
    }
    return more;
}

int main(void)
{
    static struct asker asker;
    struct epoll_event input = {.events = EPOLLIN, .data.u32 = INPUT};
    asker.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    asker.priority = rise();
    if (asker.epoll_fd < 0 || epoll_ctl(asker.epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &input) != 0) {
        perror("health");
        return EXIT_FAILURE;
    }
    while (turn(&asker)) {
    }
    return EXIT_SUCCESS;
}
