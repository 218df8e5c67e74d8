#include "util/utf8.h"

#include <string.h>

/* RFC 3629 section 4: what may follow a lead byte. False for a byte that leads nothing. */
static bool lead(struct utf8_state *state, unsigned char c)
{
    state->low = 0x80;
    state->high = 0xbf;
    if (c < 0x80) {
        state->more = 0;
    } else if (c >= 0xc2 && c <= 0xdf) {
        state->more = 1;
    } else if (c >= 0xe0 && c <= 0xef) {
        state->more = 2;
        state->low = c == 0xe0 ? 0xa0 : 0x80;
        state->high = c == 0xed ? 0x9f : 0xbf;
    } else if (c >= 0xf0 && c <= 0xf4) {
        state->more = 3;
        state->low = c == 0xf0 ? 0x90 : 0x80;
        state->high = c == 0xf4 ? 0x8f : 0xbf;
    } else {
        return false;
    }
    return true;
}

static bool continuation(struct utf8_state *state, unsigned char c)
{
    if (c < state->low || c > state->high) {
        return false;
    }
    state->more--;
    state->low = 0x80;
    state->high = 0xbf;
    return true;
}

/* How many of the leading bytes are ASCII, in steps of eight. */
static size_t ascii_run(struct str piece, size_t from)
{
    uint64_t word;
    while (from + sizeof word <= piece.len) {
        memcpy(&word, piece.ptr + from, sizeof word);
        if (word & 0x8080808080808080u) {
            break;
        }
        from += sizeof word;
    }
    return from;
}

bool utf8_feed(struct utf8_state *state, struct str piece)
{
    size_t i = 0;
    while (i < piece.len) {
        if (state->more == 0) {
            i = ascii_run(piece, i);
            if (i == piece.len) {
                return true;
            }
        }
        unsigned char c = (unsigned char)piece.ptr[i++];
        if (!(state->more > 0 ? continuation(state, c) : lead(state, c))) {
            return false;
        }
    }
    return true;
}

bool utf8_complete(const struct utf8_state *state)
{
    return state->more == 0;
}

bool utf8_valid(struct str text)
{
    struct utf8_state state = {0};
    return utf8_feed(&state, text) && utf8_complete(&state);
}
