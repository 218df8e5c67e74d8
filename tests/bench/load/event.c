#include "event.h"

#include <stdio.h>
#include <string.h>

#include "msgpack.h"
#include "util/clock.h"

enum { SEQ_DIGITS = 10 };

static const char prefix[] = "42[\"market:trade\",";
static const char label[] = "\"tradeId\":\"";

/* The members of the event's data that are the same in all events. */
static const struct {
    const char *name;
    const char *value;
} constants[] = {
    {"trader", "0x0000000000000000000000000000000000000ace"},
    {"direction", "buy"},
    {"outcome", NULL}, /* the number 1 */
    {"amount", "9"},
    {"shares", "9"},
    {"price", "65"},
    {"newYesPrice", "65"},
    {"newNoPrice", "35"},
};

/* What differs, as text. */
struct variables {
    char now[CLOCK_ISO8601_LEN + 1];
    char seq[SEQ_DIGITS + 1];
    char room[SEQ_DIGITS + 1];
};

static struct variables variables_of(unsigned room, uint32_t seq)
{
    struct variables variables;
    clock_iso8601(clock_wall_ms(), variables.now);
    snprintf(variables.seq, sizeof(variables.seq), "%0*u", SEQ_DIGITS, seq);
    snprintf(variables.room, sizeof(variables.room), "%u", room);
    return variables;
}

static size_t encode_plain(const struct variables *variables, char out[EVENT_MAX])
{
    int len = snprintf(out, EVENT_MAX,
                       "0 0 market:trade market:%s\n"
                       "{\"type\":\"market:trade\",\"timestamp\":\"%s\",\"data\":{"
                       "\"marketId\":\"%s\",%s%s\"",
                       variables->room, variables->now, variables->room, label, variables->seq);
    for (size_t i = 0; i < ARRAY_LEN(constants); i++) {
        const char *value = constants[i].value;
        const char *quote = value == NULL ? "" : "\"";
        len += snprintf(out + len, EVENT_MAX - (size_t)len, ",\"%s\":%s%s%s", constants[i].name,
                        quote, value == NULL ? "1" : value, quote);
    }
    len += snprintf(out + len, EVENT_MAX - (size_t)len, ",\"timestamp\":\"%s\"}}", variables->now);
    return (size_t)len;
}

static void pack_member(struct msgpack *out, const char *name, const char *value)
{
    msgpack_text(out, name);
    msgpack_text(out, value);
}

static void pack_data(struct msgpack *out, const struct variables *variables)
{
    msgpack_map(out, 3 + ARRAY_LEN(constants));
    pack_member(out, "marketId", variables->room);
    pack_member(out, "tradeId", variables->seq);
    for (size_t i = 0; i < ARRAY_LEN(constants); i++) {
        msgpack_text(out, constants[i].name);
        if (constants[i].value == NULL) {
            msgpack_number(out, 1);
        } else {
            msgpack_text(out, constants[i].value);
        }
    }
    pack_member(out, "timestamp", variables->now);
}

/* [sender, packet, {rooms, except, flags}], as @socket.io/redis-emitter writes it. */
static size_t encode_socketio(const struct variables *variables, char bytes[EVENT_MAX])
{
    enum { PACKET_EVENT_TYPE = 2 };
    struct msgpack out = {bytes, 0};
    char room[EVENT_CHANNEL_MAX];
    snprintf(room, sizeof(room), "market:%s", variables->room);
    msgpack_array(&out, 3);
    msgpack_text(&out, "emitter");
    msgpack_map(&out, 3);
    msgpack_text(&out, "type");
    msgpack_number(&out, PACKET_EVENT_TYPE);
    msgpack_text(&out, "data");
    msgpack_array(&out, 2);
    msgpack_text(&out, "market:trade");
    msgpack_map(&out, 3);
    pack_member(&out, "type", "market:trade");
    pack_member(&out, "timestamp", variables->now);
    msgpack_text(&out, "data");
    pack_data(&out, variables);
    pack_member(&out, "nsp", "/");
    msgpack_map(&out, 3);
    msgpack_text(&out, "rooms");
    msgpack_array(&out, 1);
    msgpack_text(&out, room);
    msgpack_text(&out, "except");
    msgpack_array(&out, 0);
    msgpack_text(&out, "flags");
    msgpack_map(&out, 0);
    return out.len;
}

void event_channel(enum event_form form, unsigned room, char out[EVENT_CHANNEL_MAX])
{
    const char *format =
        form == EVENT_SOCKETIO ? "socket.io#/#market:%u#" : "guesslyfe:{0}:room:market:%u";
    snprintf(out, EVENT_CHANNEL_MAX, format, room);
}

size_t event_encode(enum event_form form, unsigned room, uint32_t seq, char out[EVENT_MAX])
{
    struct variables variables = variables_of(room, seq);
    return form == EVENT_SOCKETIO ? encode_socketio(&variables, out)
                                  : encode_plain(&variables, out);
}

static enum err parse_digits(const char *digits, const char *end, uint32_t *ret_seq)
{
    if (end - digits < SEQ_DIGITS) {
        return ERR_INVALID;
    }
    uint32_t seq = 0;
    for (int i = 0; i < SEQ_DIGITS; i++) {
        if (digits[i] < '0' || digits[i] > '9') {
            return ERR_INVALID;
        }
        seq = seq * 10 + (uint32_t)(digits[i] - '0');
    }
    *ret_seq = seq;
    return OK;
}

enum err event_parse(const char *packet, size_t len, uint32_t *ret_seq)
{
    if (len < strlen(prefix) || memcmp(packet, prefix, strlen(prefix)) != 0 ||
        packet[len - 1] != ']') {
        return ERR_INVALID;
    }
    const char *at = memmem(packet, len, label, strlen(label));
    return at == NULL ? ERR_INVALID : parse_digits(at + strlen(label), packet + len, ret_seq);
}
