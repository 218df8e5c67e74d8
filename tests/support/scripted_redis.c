#include "scripted_redis.h"

#include <arpa/inet.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST_ID = 1000000000 }; /* ten digits */

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void note(struct scripted_redis *redis, const char *what)
{
    pthread_mutex_lock(&redis->mutex);
    size_t len = strlen(redis->log);
    snprintf(redis->log + len, sizeof redis->log - len, " %s", what);
    pthread_mutex_unlock(&redis->mutex);
}

void scripted_redis_log(struct scripted_redis *redis, char log[SCRIPTED_LOG_MAX])
{
    pthread_mutex_lock(&redis->mutex);
    strcpy(log, redis->log);
    pthread_mutex_unlock(&redis->mutex);
}

static bool answer_wait(struct scripted_redis *redis, int fd, const redisReply *command)
{
    char words[64];
    const char *answer = *redis->waits;
    snprintf(words, sizeof words, "W%s,%s", command->element[1]->str, command->element[2]->str);
    note(redis, words);
    if (redis->waits[1]) {
        redis->waits++;
    }
    if (strcmp(answer, SCRIPTED_SILENCE) == 0) {
        return true;
    }
    return strcmp(answer, SCRIPTED_HANG_UP) != 0 && dprintf(fd, "%s\r\n", answer) > 0;
}

/* False: hang up. */
static bool answer(struct scripted_redis *redis, int fd, const redisReply *command)
{
    const char *name = command->element[0]->str;
    if (strcasecmp(name, "WAIT") == 0) {
        return answer_wait(redis, fd, command);
    }
    if (strncasecmp(name, "EVAL", 4) == 0) {
        note(redis, "E");
        return dprintf(fd, "*3\r\n$10\r\n%u\r\n:0\r\n:0\r\n", FIRST_ID + redis->scripts++) > 0;
    }
    const char *text = strcasecmp(name, "ROLE") == 0 ? "*3\r\n$6\r\nmaster\r\n:0\r\n*0" : "+OK";
    return dprintf(fd, "%s\r\n", text) > 0;
}

static bool answer_all(struct scripted_redis *redis, int fd, redisReader *reader)
{
    for (void *command = NULL;;) {
        if (redisReaderGetReply(reader, &command) != REDIS_OK) {
            return false;
        }
        if (!command) {
            return true;
        }
        bool stays = answer(redis, fd, command);
        freeReplyObject(command);
        if (!stays) {
            return false;
        }
    }
}

static void serve(struct scripted_redis *redis, int fd)
{
    char bytes[16384];
    redisReader *reader = redisReaderCreate();
    for (ssize_t n; (n = recv(fd, bytes, sizeof bytes, 0)) > 0;) {
        if (redisReaderFeed(reader, bytes, (size_t)n) != REDIS_OK ||
            !answer_all(redis, fd, reader)) {
            break;
        }
    }
    redisReaderFree(reader);
}

static void *run(void *context)
{
    struct scripted_redis *redis = context;
    for (int fd; (fd = accept(redis->listener, NULL, NULL)) >= 0;) {
        serve(redis, fd);
        close(fd);
    }
    return NULL;
}

void scripted_redis_start(struct scripted_redis *redis, const char *const *waits)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    *redis = (struct scripted_redis){.waits = waits};
    pthread_mutex_init(&redis->mutex, NULL);
    redis->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (redis->listener < 0 ||
        bind(redis->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(redis->listener, 4) != 0 ||
        getsockname(redis->listener, (struct sockaddr *)&address, &len) != 0) {
        die("scripted redis");
    }
    redis->port = ntohs(address.sin_port);
    if (pthread_create(&redis->thread, NULL, run, redis) != 0) {
        die("scripted redis");
    }
}

void scripted_redis_stop(struct scripted_redis *redis)
{
    shutdown(redis->listener, SHUT_RDWR);
    pthread_join(redis->thread, NULL);
    close(redis->listener);
    pthread_mutex_destroy(&redis->mutex);
}
