#include "bus/keys.h"

/* CRC-16/XMODEM, four bits at a time: the checksum by which Redis Cluster places keys. */
static unsigned crc16(struct str bytes)
{
    static const uint16_t table[16] = {
        0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
        0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef,
    };
    unsigned crc = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned byte = (unsigned char)bytes.ptr[i];
        crc = table[(crc >> 12 ^ byte >> 4) & 15] ^ (crc << 4 & 0xffff);
        crc = table[(crc >> 12 ^ byte) & 15] ^ (crc << 4 & 0xffff);
    }
    return crc;
}

unsigned bus_partition(const struct bus_keys *keys, struct str room)
{
    return keys->partitions > 1 ? crc16(room) % keys->partitions : 0;
}

/* "<prefix>{<partition>}:<kind><name>", all or nothing. */
static enum err append_name(const struct bus_keys *keys, unsigned partition, struct str kind,
                            struct str name, struct buf *out)
{
    size_t before = out->len;
    enum err err = buf_append(out, keys->prefix);
    if (!err) {
        err = buf_append_char(out, '{');
    }
    if (!err) {
        err = buf_append_u64(out, partition);
    }
    if (!err) {
        err = buf_append(out, STR("}:"));
    }
    if (!err) {
        err = buf_append(out, kind);
    }
    if (!err) {
        err = buf_append(out, name);
    }
    if (err) {
        out->len = before;
    }
    return err;
}

enum err bus_channel_name(const struct bus_keys *keys, struct str room, struct buf *out)
{
    return append_name(keys, bus_partition(keys, room), STR("room:"), room, out);
}

enum err bus_log_key(const struct bus_keys *keys, struct str room, struct buf *out)
{
    return append_name(keys, bus_partition(keys, room), STR("log:"), room, out);
}

enum err bus_clock_key(const struct bus_keys *keys, unsigned partition, struct buf *out)
{
    return append_name(keys, partition, STR("clock"), (struct str){"", 0}, out);
}

enum err bus_once_key(const struct bus_keys *keys, unsigned partition, struct str once,
                      struct buf *out)
{
    return append_name(keys, partition, STR("once:"), once, out);
}

enum err bus_epoch_key(const struct bus_keys *keys, struct buf *out)
{
    return append_name(keys, 0, STR("epoch"), (struct str){"", 0}, out);
}

/* "<prefix><kind><name>", all or nothing. */
static enum err append_plain(const struct bus_keys *keys, struct str kind, struct str name,
                             struct buf *out)
{
    size_t before = out->len;
    enum err err = buf_append(out, keys->prefix);
    err = err ? err : buf_append(out, kind);
    err = err ? err : buf_append(out, name);
    if (err) {
        out->len = before;
    }
    return err;
}

enum err bus_session_key(const struct bus_keys *keys, struct str pid, struct buf *out)
{
    return append_plain(keys, STR("session:"), pid, out);
}

enum err bus_gateway_channel(const struct bus_keys *keys, struct str gateway, struct buf *out)
{
    return append_plain(keys, STR("to:"), gateway, out);
}

enum err bus_control_channel(const struct bus_keys *keys, struct buf *out)
{
    return append_plain(keys, STR("control"), (struct str){"", 0}, out);
}

enum err bus_answer_channel(const struct bus_keys *keys, struct str asker, struct buf *out)
{
    return append_plain(keys, STR("answer:"), asker, out);
}

enum err bus_gateway_key(const struct bus_keys *keys, struct str gateway, struct buf *out)
{
    return append_plain(keys, STR("gateway:"), gateway, out);
}

enum err bus_gateways_key(const struct bus_keys *keys, struct buf *out)
{
    return append_plain(keys, STR("gateways"), STR(""), out);
}

enum err bus_revoked_key(const struct bus_keys *keys, struct buf *out)
{
    return append_plain(keys, STR("revoked"), STR(""), out);
}

enum err bus_connections_key(const struct bus_keys *keys, struct str sub, struct buf *out)
{
    return append_plain(keys, STR("connections:"), sub, out);
}

struct str bus_channel_room(const struct bus_keys *keys, struct str channel)
{
    static const struct str none = {"", 0};
    if (!str_starts(channel, keys->prefix)) {
        return none;
    }
    struct str rest = str_skip(channel, keys->prefix.len);
    if (rest.len == 0 || rest.ptr[0] != '{') {
        return none;
    }
    size_t end = str_find(rest, '}');
    rest = str_skip(rest, end);
    struct str middle = STR("}:room:");
    return str_starts(rest, middle) ? str_skip(rest, middle.len) : none;
}
