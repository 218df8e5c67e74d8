#include "packet.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "token.h"

/* The first one that fits decides: "error" stands before the events in general. */
static const struct {
    const char *beginning;
    enum packet_kind kind;
} beginnings[] = {
    {"42[\"market:trade\",", PACKET_TRADE},
    {"2", PACKET_EIO_PING},
    {"0{", PACKET_EIO_OPEN},
    {"40{", PACKET_CONNECTED},
    {"42[\"connected\",", PACKET_GREETING},
    {"430[{\"success\":true", PACKET_ACK_SUCCESS},
    {"42[\"error\"", PACKET_UNEXPECTED},
    {"42[", PACKET_EVENT},
};

static bool begins(const char *text, size_t len, const char *beginning)
{
    size_t n = strlen(beginning);
    return len >= n && memcmp(text, beginning, n) == 0;
}

enum packet_kind packet_kind(const char *text, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(beginnings); i++) {
        if (begins(text, len, beginnings[i].beginning)) {
            return beginnings[i].kind;
        }
    }
    return PACKET_UNEXPECTED;
}

enum err packet_connect(const char *secret, unsigned user, char out[PACKET_MAX])
{
    char token[TOKEN_MAX];
    enum err err = token_make(secret, user, token);
    if (err == OK && snprintf(out, PACKET_MAX, "40{\"token\":\"%s\"}", token) >= PACKET_MAX) {
        err = ERR_LIMIT;
    }
    return err;
}

enum err packet_subscribe(const char *market, char out[PACKET_MAX])
{
    int len =
        snprintf(out, PACKET_MAX, "420[\"subscribe\",{\"room\":\"market\",\"id\":\"%s\"}]", market);
    return len < PACKET_MAX ? OK : ERR_LIMIT;
}
