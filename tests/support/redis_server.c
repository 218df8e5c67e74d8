#include "redis_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ARGS_MAX = 48, START_PATIENCE_MS = 20000 };

static void die(const char *what)
{
    fprintf(stderr, "redis_server: %s: %s\n", what, strerror(errno));
    exit(1);
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

static uint16_t free_port(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        die("free port");
    }
    close(fd);
    return ntohs(address.sin_port);
}

static int try_connect(uint16_t port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        die("socket");
    }
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

const char *redis_server_file(const struct redis_server *server, const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", server->folder, name);
    return path;
}

/* A CA, what it signed for the server and a client, and a CA that signed neither. */
static void make_certificates(const struct redis_server *server)
{
    static const char recipe[] =
        "cd '%s' && exec 2>openssl.log && set -e\n"
        "ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
        " -subj /CN=$1 -keyout $1.key -out $1.crt; }\n"
        "leaf() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
        " -subj /CN=$1 -keyout $1.key -out $1.csr;"
        " printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' >$1.ext;"
        " openssl x509 -req -days 2 -in $1.csr -CA ca.crt -CAkey ca.key -CAcreateserial"
        " -extfile $1.ext -out $1.crt; }\n"
        "ca ca; ca other-ca; leaf server; leaf client\n";
    char script[2048];
    snprintf(script, sizeof script, recipe, server->folder);
    if (system(script) != 0) {
        die("openssl");
    }
}

static void exec_server(const struct redis_server *server)
{
    char port[8], primary[8], log[128];
    snprintf(port, sizeof port, "%u", server->port);
    snprintf(primary, sizeof primary, "%u", server->primary);
    snprintf(log, sizeof log, "%s", redis_server_file(server, "redis.log"));
    const char *args[ARGS_MAX] = {"redis-server",
                                  "--bind",
                                  "127.0.0.1",
                                  "--save",
                                  "",
                                  "--appendonly",
                                  "no",
                                  "--repl-diskless-sync-delay",
                                  "0",
                                  "--dir",
                                  server->folder,
                                  "--logfile",
                                  log};
    const char *tls[] = {"--port",
                         "0",
                         "--tls-port",
                         port,
                         "--tls-cert-file",
                         "server.crt",
                         "--tls-key-file",
                         "server.key",
                         "--tls-ca-cert-file",
                         "ca.crt",
                         NULL};
    const char *plain[] = {"--port", port, NULL};
    const char *replica[] = {"--replicaof", "127.0.0.1", primary, NULL};
    int n = 13;
    for (const char *const *arg = server->tls ? tls : plain; *arg; arg++) {
        args[n++] = *arg;
    }
    for (const char *const *arg = replica; server->primary && *arg; arg++) {
        args[n++] = *arg;
    }
    for (const char *const *arg = server->extra; arg && *arg && n < ARGS_MAX - 1; arg++) {
        args[n++] = *arg;
    }
    execvp(args[0], (char *const *)args);
    _exit(127);
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 5 * 1000 * 1000}, NULL);
}

/* It listens before it has read its ACLs: only an answer, be it a refusal, shows that it stands. */
static bool answers(const struct redis_server *server)
{
    int fd = try_connect(server->port);
    if (fd < 0) {
        return false;
    }
    char byte;
    bool answered =
        server->tls || (send(fd, "PING\r\n", 6, MSG_NOSIGNAL) == 6 && recv(fd, &byte, 1, 0) == 1);
    close(fd);
    return answered;
}

static void wait_until_it_answers(struct redis_server *server)
{
    for (int waited = 0; waited < START_PATIENCE_MS; waited += 5) {
        if (answers(server)) {
            return;
        }
        if (waitpid(server->pid, NULL, WNOHANG) == server->pid) {
            break;
        }
        nap();
    }
    die("redis-server does not start");
}

void redis_server_start_again(struct redis_server *server)
{
    pid_t parent = getpid();
    server->pid = fork();
    if (server->pid < 0) {
        die("fork");
    }
    if (server->pid == 0) {
        /* A test that crashes takes its server along. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent || chdir(server->folder) != 0) {
            _exit(127);
        }
        exec_server(server);
    }
    wait_until_it_answers(server);
}

static void make_folder(struct redis_server *server)
{
    snprintf(server->folder, sizeof server->folder, "/tmp/redis-test-XXXXXX");
    if (!mkdtemp(server->folder)) {
        die("mkdtemp");
    }
}

void redis_server_start(struct redis_server *server, const char *const *extra, bool tls)
{
    *server = (struct redis_server){.port = free_port(), .tls = tls, .extra = extra};
    make_folder(server);
    if (tls) {
        make_certificates(server);
    }
    redis_server_start_again(server);
}

/*
 * A primary tells a replica of writes once it has confirmed catching up, which may be a second
 * later; then ROLE shows, behind its port, how far it is. PUBLISH is a write that leaves no key.
 */
static bool takes_part(const struct redis_server *replica, const struct redis_server *primary)
{
    char answer[4096], listed[16];
    int length;
    unsigned long long offset;
    snprintf(listed, sizeof listed, "\r\n%u\r\n", replica->port);
    redis_server_ask(primary, "ROLE", answer, sizeof answer);
    const char *found = strstr(answer, listed);
    return found && sscanf(found + strlen(listed), "$%d\r\n%llu", &length, &offset) == 2 &&
           offset > 0;
}

void redis_server_start_replica(struct redis_server *server, const struct redis_server *primary)
{
    char answer[64];
    *server = (struct redis_server){.port = free_port(), .primary = primary->port};
    make_folder(server);
    redis_server_start_again(server);
    for (int waited = 0; !takes_part(server, primary); waited += 5) {
        if (waited >= START_PATIENCE_MS) {
            die("the replica does not catch up");
        }
        redis_server_ask(primary, "PUBLISH support write", answer, sizeof answer);
        nap();
    }
}

void redis_server_kill(struct redis_server *server)
{
    if (server->pid > 0) {
        kill(server->pid, SIGKILL);
        waitpid(server->pid, NULL, 0);
        server->pid = 0;
    }
}

void redis_server_pause(struct redis_server *server)
{
    kill(server->pid, SIGSTOP);
}

void redis_server_resume(struct redis_server *server)
{
    kill(server->pid, SIGCONT);
}

void redis_server_stop(struct redis_server *server)
{
    redis_server_kill(server);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", server->folder);
    if (system(command) != 0) {
        die("rm");
    }
}

void redis_server_ask(const struct redis_server *server, const char *command, char *answer,
                      int size)
{
    int fd = try_connect(server->port);
    if (fd < 0 || dprintf(fd, "%s\r\n", command) < 0 || shutdown(fd, SHUT_WR) != 0) {
        die("ask");
    }
    int len = 0;
    for (ssize_t n; len < size - 1 && (n = read(fd, answer + len, (size_t)(size - 1 - len))) > 0;) {
        len += (int)n;
    }
    answer[len] = '\0';
    close(fd);
}
