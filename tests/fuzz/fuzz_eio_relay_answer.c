/* What another gateway answers: one that is taken is written again as it stood; its body is walked.
 */
#include <stdint.h>
#include <stdlib.h>

#include "engineio/packet.h"
#include "engineio/relay_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void write_again(const struct eio_relay_answer *answer)
{
    struct buf text = {0};
    struct eio_relay_answer again;
    check(!eio_relay_write_answer(answer, &text));
    check(!buf_append(&text, answer->body));
    check(!eio_relay_read_answer(buf_str(&text), &again));
    check(again.number == answer->number && again.outcome == answer->outcome &&
          again.error == answer->error && str_eq(again.body, answer->body));
    buf_fini(&text);
}

/* Packets that are taken are the same when they were sent on. */
static void check_packet(struct rcbuf *packet)
{
    struct buf text = {0};
    struct rcbuf *again = NULL;
    check(!eio_relay_write_packet(packet, &text));
    struct str packets = buf_str(&text);
    check(!eio_relay_read_packet(&packets, &again) && packets.len == 0);
    check(str_eq(rcbuf_str(again), rcbuf_str(packet)));
    rcbuf_unref(&again);
    buf_fini(&text);
}

static void walk_rest(struct str body)
{
    struct str rest, packets;
    struct rcbuf *packet;
    if (eio_relay_read_rest(body, &rest, &packets)) {
        return;
    }
    check(rest.len + packets.len < body.len);
    while (!eio_relay_read_packet(&packets, &packet)) {
        check_packet(packet);
        rcbuf_unref(&packet);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct eio_relay_answer answer;
    if (!eio_relay_read_answer(str_range((const char *)data, size), &answer)) {
        check(answer.outcome < EIO_OUTCOMES);
        write_again(&answer);
        walk_rest(answer.body);
    }
    return 0;
}
