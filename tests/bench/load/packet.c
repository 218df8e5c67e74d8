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
    {"42[\"system:announcement\",", PACKET_ANNOUNCEMENT},
    {"2", PACKET_EIO_PING},
    {"6", PACKET_EIO_NOOP},
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

bool packet_member(const char *text, size_t len, const char *name, char *out, size_t size)
{
    char label[32];
    size_t label_len = (size_t)snprintf(label, sizeof(label), "\"%s\":\"", name);
    const char *value = memmem(text, len, label, label_len);
    const char *end = value == NULL ? NULL : value + label_len;
    end = end == NULL ? NULL : memchr(end, '"', len - (size_t)(end - text));
    if (end == NULL || (size_t)(end - value) - label_len >= size) {
        return false;
    }
    size_t n = (size_t)(end - value) - label_len;
    memcpy(out, value + label_len, n);
    out[n] = '\0';
    return true;
}

bool packet_offset(const char *text, size_t len, char *out, size_t size)
{
    static const char end[] = "\"]";
    if (len < strlen(end)) {
        return false;
    }
    size_t at = len - strlen(end);
    size_t last = at;
    while (at > 0 && text[at - 1] >= '0' && text[at - 1] <= '9') {
        at--;
    }
    if (memcmp(text + last, end, strlen(end)) != 0 || at == last || at < 2 ||
        memcmp(text + at - 2, ",\"", 2) != 0 || last - at >= size) {
        return false;
    }
    memcpy(out, text + at, last - at);
    out[last - at] = '\0';
    return true;
}

enum err packet_connect(const struct packet_identity *identity, char out[PACKET_MAX])
{
    char token[TOKEN_MAX];
    enum err err = token_make(identity->secret, identity->user, token);
    if (err != OK) {
        return err;
    }
    int len = snprintf(out, PACKET_MAX, "40{\"token\":\"%s\"%s", token,
                       identity->recovery ? ",\"recovery\":true" : "");
    if (len < PACKET_MAX && identity->pid[0] != '\0') {
        len += snprintf(out + len, PACKET_MAX - (size_t)len, ",\"pid\":\"%s\",\"offset\":\"%s\"",
                        identity->pid, identity->offset);
    }
    if (len < PACKET_MAX) {
        len += snprintf(out + len, PACKET_MAX - (size_t)len, "}");
    }
    return len < PACKET_MAX ? OK : ERR_LIMIT;
}

void packet_subscribe(unsigned market, char out[PACKET_MAX])
{
    snprintf(out, PACKET_MAX, "420[\"subscribe\",{\"room\":\"market\",\"id\":\"%u\"}]", market);
}
