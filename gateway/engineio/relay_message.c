#include "engineio/relay_message.h"

#include "engineio/fleet.h"
#include "engineio/packet.h"

enum { SID_LEN_MAX = 64 };

static const char *const verbs[EIO_RELAY_VERBS] = {
    [EIO_RELAY_POLL] = "poll",     [EIO_RELAY_POLL_AGAIN] = "poll-again",
    [EIO_RELAY_TAKEN] = "taken",   [EIO_RELAY_POST] = "post",
    [EIO_RELAY_ABORT] = "abort",   [EIO_RELAY_UPGRADE] = "upgrade",
    [EIO_RELAY_PROBED] = "probed", [EIO_RELAY_FAIL] = "fail",
    [EIO_RELAY_TAKE] = "take",     [EIO_RELAY_PLACE] = "place",
};

static const char *const outcomes[EIO_OUTCOMES] = {
    [EIO_PACKETS] = "packets",
    [EIO_TAKEN] = "taken",
    [EIO_TOO_LARGE] = "too-large",
    [EIO_BUSY] = "busy",
    [EIO_REFUSED] = "refused",
    [EIO_WELCOME] = "welcome",
    [EIO_ONE_TOO_MANY] = "one-too-many",
    [EIO_STATE] = "state",
    [EIO_REST] = "rest",
};

/* It goes into the name of a channel, and into messages. */
static bool is_one_word(struct str id)
{
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i];
        bool fine = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                    c == '-' || c == '_';
        if (!fine) {
            return false;
        }
    }
    return true;
}

bool eio_sid_has_owner(struct str sid)
{
    return sid.len > EIO_GATEWAY_ID_LEN && sid.len <= SID_LEN_MAX && is_one_word(sid);
}

static bool is_gateway(struct str id)
{
    return id.len == EIO_GATEWAY_ID_LEN && is_one_word(id);
}

/* The index of a word in a table; `count` where it is not there. */
static size_t find_word(const char *const *table, size_t count, struct str word)
{
    size_t i = 0;
    while (i < count && !str_eq(str_from(table[i]), word)) {
        i++;
    }
    return i;
}

enum err eio_relay_write_request(const struct eio_relay_request *request, struct buf *out)
{
    return buf_printf(out, STR_FMT " %llu %s " STR_FMT "\n", STR_ARG(request->gateway),
                      (unsigned long long)request->number, verbs[request->verb],
                      STR_ARG(request->sid));
}

enum err eio_relay_write_answer(const struct eio_relay_answer *answer, struct buf *out)
{
    unsigned long long number = answer->number;
    return answer->outcome == EIO_REFUSED
               ? buf_printf(out, "%llu refused %u\n", number, (unsigned)answer->error)
               : buf_printf(out, "%llu %s\n", number, outcomes[answer->outcome]);
}

/* The first line of `payload`, and what follows. PROTO where it has no end. */
static enum err split_head(struct str payload, struct str *ret_head, struct str *ret_body)
{
    *ret_body = payload;
    return str_split(ret_body, '\n', ret_head) && ret_body->ptr ? OK : ERR_PROTO;
}

enum err eio_relay_read_request(struct str payload, struct eio_relay_request *ret_request)
{
    struct str head, number, verb;
    struct eio_relay_request request;
    if (split_head(payload, &head, &request.body) || !str_split(&head, ' ', &request.gateway) ||
        !str_split(&head, ' ', &number) || !str_split(&head, ' ', &verb) ||
        !str_split(&head, ' ', &request.sid) || head.ptr || !is_gateway(request.gateway) ||
        !eio_sid_has_owner(request.sid)) {
        return ERR_PROTO;
    }
    size_t index = find_word(verbs, EIO_RELAY_VERBS, verb);
    if (index == EIO_RELAY_VERBS || str_to_u64(number, &request.number)) {
        return ERR_PROTO;
    }
    request.verb = (enum eio_relay_verb)index;
    *ret_request = request;
    return OK;
}

static enum err read_error(struct str *head, struct eio_relay_answer *answer)
{
    struct str word;
    uint64_t error;
    if (!str_split(head, ' ', &word) || str_to_u64(word, &error) || error >= EIO_NO_ERROR) {
        return ERR_PROTO;
    }
    answer->error = (enum eio_error)error;
    return OK;
}

enum err eio_relay_read_answer(struct str payload, struct eio_relay_answer *ret_answer)
{
    struct str head, number, outcome;
    struct eio_relay_answer answer = {.error = EIO_NO_ERROR};
    if (split_head(payload, &head, &answer.body) || !str_split(&head, ' ', &number) ||
        !str_split(&head, ' ', &outcome) || str_to_u64(number, &answer.number)) {
        return ERR_PROTO;
    }
    size_t index = find_word(outcomes, EIO_OUTCOMES, outcome);
    if (index == EIO_OUTCOMES || (index == EIO_REFUSED && read_error(&head, &answer)) || head.ptr) {
        return ERR_PROTO;
    }
    answer.outcome = (enum eio_outcome)index;
    *ret_answer = answer;
    return OK;
}

/* --- The state of a session, and the rest --- */

enum err eio_relay_write_state(unsigned phase, uint64_t left_ms, struct str state, struct buf *out)
{
    enum err err = buf_printf(out, "%u %llu\n", phase, (unsigned long long)left_ms);
    return err ? err : buf_append(out, state);
}

enum err eio_relay_read_state(struct str body, unsigned *ret_phase, uint64_t *ret_left_ms,
                              struct str *ret_state)
{
    struct str head, phase;
    uint64_t number;
    if (split_head(body, &head, ret_state) || !str_split(&head, ' ', &phase) || !head.ptr ||
        str_to_u64(phase, &number) || number > UINT8_MAX || str_to_u64(head, ret_left_ms)) {
        return ERR_PROTO;
    }
    *ret_phase = (unsigned)number;
    return OK;
}

enum err eio_relay_write_rest(struct str rest, struct buf *out)
{
    enum err err = buf_printf(out, "%zu\n", rest.len);
    return err ? err : buf_append(out, rest);
}

enum err eio_relay_write_packet(const struct rcbuf *packet, struct buf *out)
{
    bool binary;
    struct str payload = eio_encoded_payload(packet, &binary);
    enum err err = buf_printf(out, "%c %zu\n", binary ? 'b' : 't', payload.len);
    return err ? err : buf_append(out, payload);
}

/* "<bytes>\n" and as many bytes. */
static enum err take_counted(struct str *text, struct str *ret_bytes)
{
    struct str number;
    uint64_t len;
    if (!str_split(text, '\n', &number) || !text->ptr || str_to_u64(number, &len) ||
        len > text->len) {
        return ERR_PROTO;
    }
    *ret_bytes = str_range(text->ptr, (size_t)len);
    *text = str_skip(*text, (size_t)len);
    return OK;
}

enum err eio_relay_read_rest(struct str body, struct str *ret_rest, struct str *ret_packets)
{
    *ret_packets = body;
    return take_counted(ret_packets, ret_rest);
}

enum err eio_relay_next_packet(struct str *packets, bool *ret_binary, struct str *ret_payload)
{
    struct str kind;
    if (packets->len == 0) {
        return ERR_AGAIN;
    }
    if (!str_split(packets, ' ', &kind) || !packets->ptr ||
        (!str_eq(kind, STR("b")) && !str_eq(kind, STR("t")))) {
        return ERR_PROTO;
    }
    *ret_binary = kind.ptr[0] == 'b';
    return take_counted(packets, ret_payload);
}

enum err eio_relay_read_packet(struct str *packets, struct rcbuf **ret_packet)
{
    struct str payload;
    struct eio_packet packet;
    bool binary;
    enum err err = eio_relay_next_packet(packets, &binary, &payload);
    if (!err && !binary) {
        err = eio_packet_parse(payload, &packet);
    }
    if (err) {
        return err;
    }
    *ret_packet = binary ? eio_encode_binary(payload) : eio_encode(packet.type, packet.data);
    return *ret_packet ? OK : ERR_NOMEM;
}
