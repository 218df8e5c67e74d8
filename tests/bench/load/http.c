#include "http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet.h"
#include "shared/wire.h"

size_t http_websocket(const struct fleet *fleet, char out[HTTP_REQUEST_MAX])
{
    return (size_t)snprintf(out, HTTP_REQUEST_MAX,
                            "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n"
                            "Host: %s:%u\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " WIRE_KEY "\r\n\r\n",
                            fleet->options->host, fleet->options->port);
}

static size_t head(const struct fleet *fleet, const struct client *client, const char *method,
                   char out[HTTP_REQUEST_MAX])
{
    const char *parameter = client->sid[0] == '\0' ? "" : "&sid=";
    return (size_t)snprintf(out, HTTP_REQUEST_MAX,
                            "%s /socket.io/?EIO=4&transport=polling%s%s HTTP/1.1\r\n"
                            "Host: %s:%u\r\n",
                            method, parameter, client->sid, fleet->options->host,
                            fleet->options->port);
}

size_t http_poll(const struct fleet *fleet, const struct client *client, char out[HTTP_REQUEST_MAX])
{
    size_t len = head(fleet, client, "GET", out);
    return len + (size_t)snprintf(out + len, HTTP_REQUEST_MAX - len, "\r\n");
}

size_t http_post(const struct fleet *fleet, const struct client *client, char out[HTTP_REQUEST_MAX])
{
    size_t len = head(fleet, client, "POST", out);
    return len + (size_t)snprintf(out + len, HTTP_REQUEST_MAX - len,
                                  "Content-Type: text/plain;charset=UTF-8\r\n"
                                  "Content-Length: %zu\r\n\r\n%s",
                                  strlen(client->due), client->due);
}

/* Content-Length; header names are the same in any letter case (RFC 9110 section 5.1). */
static enum err body_length(const char *bytes, size_t head_len, size_t *ret_len)
{
    static const char name[] = "\ncontent-length:";
    for (const char *at = bytes; at + strlen(name) < bytes + head_len; at++) {
        if (strncasecmp(at, name, strlen(name)) == 0) {
            *ret_len = strtoul(at + strlen(name), NULL, 10);
            return OK;
        }
    }
    return ERR_PROTO;
}

enum err http_parse(char *bytes, size_t len, struct http_response *ret_response)
{
    static const char status[] = "HTTP/1.1 200 ";
    static const char end[] = "\r\n\r\n";
    char *end_at = memmem(bytes, len, end, strlen(end));
    if (end_at == NULL) {
        return ERR_AGAIN;
    }
    size_t body_len;
    size_t head_len = (size_t)(end_at - bytes) + strlen(end);
    if (head_len < strlen(status) || memcmp(bytes, status, strlen(status)) != 0 ||
        body_length(bytes, head_len, &body_len) != OK) {
        return ERR_PROTO;
    }
    if (len < head_len + body_len) {
        return ERR_AGAIN;
    }
    *ret_response = (struct http_response){bytes + head_len, body_len, head_len + body_len};
    return OK;
}
