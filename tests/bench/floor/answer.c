#include "answer.h"

#include <string.h>

#include "shared/wire.h"

static size_t append_text(char *out, const char *text)
{
    return wire_server_frame(out, WIRE_TEXT, text, strlen(text));
}

size_t answer_upgrade(char out[ANSWER_MAX])
{
    static const char response[] =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Accept: " WIRE_ACCEPT "\r\n\r\n";
    size_t len = strlen(response);
    memcpy(out, response, len);
    return len + append_text(out + len,
                             "0{\"sid\":\"floor\",\"upgrades\":[],\"pingInterval\":25000,"
                             "\"pingTimeout\":60000,\"maxPayload\":1000000}");
}

size_t answer_connect(char out[ANSWER_MAX])
{
    size_t len = append_text(out, "40{\"sid\":\"floor\"}");
    return len + append_text(out + len, "42[\"connected\",{\"message\":\"Connected\","
                                        "\"userId\":\"0\",\"rooms\":[]}]");
}

size_t answer_subscribe(char out[ANSWER_MAX])
{
    return append_text(out, "430[{\"success\":true}]");
}
