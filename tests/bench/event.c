#include "event.h"

#include <stdio.h>
#include <string.h>

#include "util/clock.h"

enum { SEQ_DIGITS = 10 };

static const char prefix[] = "42[\"market:trade\",";
static const char label[] = "\"tradeId\":\"";

size_t event_encode(const char *market, uint32_t seq, char out[EVENT_MAX])
{
    char now[CLOCK_ISO8601_LEN + 1];
    clock_iso8601(clock_wall_ms(), now);
    int len = snprintf(out, EVENT_MAX,
                       "0 0 market:trade market:%s\n"
                       "{\"type\":\"market:trade\",\"timestamp\":\"%s\",\"data\":{"
                       "\"marketId\":\"%s\",%s%0*u\",\"trader\":\"0x%040x\",\"direction\":\"buy\","
                       "\"outcome\":1,\"amount\":\"9\",\"shares\":\"9\",\"price\":\"65\","
                       "\"newYesPrice\":\"65\",\"newNoPrice\":\"35\",\"timestamp\":\"%s\"}}",
                       market, now, market, label, SEQ_DIGITS, seq, 0xace, now);
    return len < EVENT_MAX ? (size_t)len : EVENT_MAX - 1;
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
