#include "socketio/packet.h"

#include "socketio/placeholder.h"
#include "util/jtext.h"
#include "util/utf8.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Takes the digits at the beginning; how many there were. */
static size_t take_digits(struct str *rest, struct str *ret_digits)
{
    size_t len = 0;
    while (len < rest->len && is_digit(rest->ptr[len])) {
        len++;
    }
    *ret_digits = str_range(rest->ptr, len);
    *rest = str_skip(*rest, len);
    return len;
}

static enum err take_type(struct str *rest, enum sio_packet_type *ret_type)
{
    if (rest->len == 0 || rest->ptr[0] < '0' || rest->ptr[0] > '6') {
        return ERR_PROTO;
    }
    *ret_type = (enum sio_packet_type)(rest->ptr[0] - '0');
    *rest = str_skip(*rest, 1);
    return *ret_type == SIO_CONNECT_ERROR ? ERR_PROTO : OK;
}

/* "<n>-". The number is judged before anything waits for that many attachments. */
static enum err take_attachments(struct str *rest, size_t max, size_t *ret_count)
{
    struct str digits;
    uint64_t count;
    size_t len = take_digits(rest, &digits);
    if (len == 0 || rest->len == 0 || rest->ptr[0] != '-') {
        return ERR_PROTO;
    }
    if (str_to_u64(digits, &count) || count > max) {
        return ERR_LIMIT;
    }
    *rest = str_skip(*rest, 1);
    *ret_count = (size_t)count;
    return OK;
}

/* A record separator in a name could not be answered over polling; no name needs control
 * characters. */
static bool name_is_clean(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        if ((unsigned char)name.ptr[i] < 0x20 || name.ptr[i] == 0x7f) {
            return false;
        }
    }
    return utf8_valid(name);
}

/* "/name," or "/name" at the very end. Clients of protocol 4 wrote "/name?query". */
static enum err take_namespace(struct str *rest, struct str *ret_name)
{
    if (rest->len == 0 || rest->ptr[0] != '/') {
        *ret_name = STR("/");
        return OK;
    }
    size_t len = str_find(*rest, ',');
    struct str name = str_range(rest->ptr, len);
    name.len = str_find(name, '?');
    if (name.len > SIO_NAMESPACE_MAX || !name_is_clean(name)) {
        return ERR_PROTO;
    }
    *ret_name = name;
    *rest = str_skip(*rest, len + 1);
    return OK;
}

/* Ids of more digits would not survive JavaScript's numbers. */
static enum err take_id(struct str *rest, struct sio_packet *packet)
{
    struct str digits;
    size_t len = take_digits(rest, &digits);
    packet->has_id = len > 0;
    if (len > SIO_ACK_DIGITS_MAX) {
        return ERR_PROTO;
    }
    return len > 0 ? str_to_u64(digits, &packet->id) : OK;
}

/* Names that clients and servers of the protocol keep for themselves. */
static bool is_reserved(struct str name)
{
    static const char *const reserved[] = {"connect",       "connect_error", "disconnect",
                                           "disconnecting", "newListener",   "removeListener"};
    struct str between = str_range(name.ptr + 1, name.len - 2);
    for (size_t i = 0; i < ARRAY_LEN(reserved); i++) {
        if (jtext_is(between, str_from(reserved[i]))) {
            return true;
        }
    }
    return false;
}

static enum err check_event_name(struct str name)
{
    enum jtext_kind kind = jtext_kind(name);
    if (kind == JTEXT_NUMBER) {
        return OK;
    }
    return kind == JTEXT_STRING && !is_reserved(name) ? OK : ERR_PROTO;
}

/* Cuts the array into the event's name, where there is to be one, and the arguments. */
static enum err cut_array(struct sio_packet *packet, bool named)
{
    if (jtext_kind(packet->payload) != JTEXT_ARRAY) {
        return ERR_PROTO;
    }
    struct jtext_walk walk;
    struct str value;
    jtext_walk(&walk, packet->payload);
    if (named) {
        if (!jtext_next(&walk, NULL, &packet->event) || check_event_name(packet->event)) {
            return ERR_PROTO;
        }
    }
    const char *last = NULL;
    for (; jtext_next(&walk, NULL, &value); packet->arg_count++) {
        if (!last) {
            packet->args.ptr = value.ptr;
        }
        last = value.ptr + value.len;
    }
    packet->args.len = last ? (size_t)(last - packet->args.ptr) : 0;
    return OK;
}

static enum err check_payload(struct sio_packet *packet)
{
    bool empty = packet->payload.len == 0;
    switch (packet->type) {
    case SIO_CONNECT:
        return !packet->has_id && (empty || jtext_kind(packet->payload) == JTEXT_OBJECT)
                   ? OK
                   : ERR_PROTO;
    case SIO_DISCONNECT:
        return !packet->has_id && empty ? OK : ERR_PROTO;
    case SIO_EVENT:
    case SIO_BINARY_EVENT:
        return empty ? ERR_PROTO : cut_array(packet, true);
    default:
        return empty || !packet->has_id ? ERR_PROTO : cut_array(packet, false);
    }
}

static bool is_binary(enum sio_packet_type type)
{
    return type == SIO_BINARY_EVENT || type == SIO_BINARY_ACK;
}

enum err sio_packet_parse(struct str text, const struct sio_packet_limits *limits,
                          struct sio_packet *ret_packet)
{
    struct sio_packet packet = {.payload = STR(""), .event = STR(""), .args = STR("")};
    unsigned max_depth =
        limits->max_depth < SIO_PACKET_DEPTH_MAX ? limits->max_depth : SIO_PACKET_DEPTH_MAX;
    enum err err = take_type(&text, &packet.type);
    if (!err && is_binary(packet.type)) {
        err = take_attachments(&text, limits->max_attachments, &packet.attachments);
    }
    err = err ? err : take_namespace(&text, &packet.namespace_name);
    err = err ? err : take_id(&text, &packet);
    if (!err && text.len > 0) {
        packet.payload = text;
        err = jtext_check(text, max_depth);
    }
    err = err ? err : check_payload(&packet);
    if (!err && is_binary(packet.type)) {
        err = sio_placeholders_check(packet.payload, packet.attachments);
    }
    if (!err) {
        *ret_packet = packet;
    }
    return err;
}

enum err sio_packet_begin(enum sio_packet_type type, size_t attachments, struct str namespace_name,
                          const uint64_t *id, struct buf *out)
{
    size_t before = out->len;
    enum err err = buf_append_char(out, (char)('0' + type));
    if (is_binary(type)) {
        err = err ? err : buf_append_u64(out, attachments);
        err = err ? err : buf_append_char(out, '-');
    }
    if (!str_eq(namespace_name, STR("/"))) {
        err = err ? err : buf_append(out, namespace_name);
        err = err ? err : buf_append_char(out, ',');
    }
    if (id) {
        err = err ? err : buf_append_u64(out, *id);
    }
    if (err) {
        out->len = before;
    }
    return err;
}
