#include "socketio/binary.h"

#include <stdlib.h>

static void on_timeout(struct wheel_timer *timer)
{
    struct sio_binary *binary = container_of(timer, struct sio_binary, timer);
    sio_client_fail(binary->client, ERR_TIMEOUT);
}

enum err sio_binary_begin(struct sio_client *client, struct str text, size_t attachments)
{
    const struct sio_server_options *options = sio_client_server(client)->options;
    if (sio_client_need_rare(client)) {
        return ERR_NOMEM;
    }
    struct sio_binary *binary = calloc(1, sizeof *binary);
    if (!binary) {
        sio_client_tidy(client);
        return ERR_NOMEM;
    }
    binary->client = client;
    binary->text_len = text.len;
    binary->expected = attachments;
    buf_init(&binary->bytes, options->max_payload);
    wheel_timer_init(&binary->timer, on_timeout);
    enum err err = buf_append(&binary->bytes, text);
    if (err) {
        free(binary);
        sio_client_tidy(client);
        return err;
    }
    loop_timer_set(sio_client_server(client)->loop, &binary->timer, options->attachment_timeout_ms);
    client->rare->binary = binary;
    return OK;
}

enum err sio_binary_take(struct sio_binary *binary, struct str attachment)
{
    enum err err = buf_append(&binary->bytes, attachment);
    if (err) {
        return err;
    }
    binary->ends[binary->received++] = binary->bytes.len;
    return binary->received < binary->expected ? ERR_AGAIN : OK;
}

struct str sio_binary_text(const struct sio_binary *binary)
{
    return str_range(binary->bytes.data, binary->text_len);
}

void sio_binary_attachments(const struct sio_binary *binary, struct str out[SIO_ATTACHMENTS_MAX])
{
    size_t begin = binary->text_len;
    for (size_t i = 0; i < binary->received; i++) {
        out[i] = str_range(binary->bytes.data + begin, binary->ends[i] - begin);
        begin = binary->ends[i];
    }
}

void sio_binary_free(struct sio_binary *binary)
{
    if (binary) {
        loop_timer_cancel(sio_client_server(binary->client)->loop, &binary->timer);
        buf_fini(&binary->bytes);
        free(binary);
    }
}
