/*
 * What the network sends to the HTTP parser: a head, and behind it perhaps a chunked body. However
 * the bytes are cut the result is the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/chunked.h"
#include "http/parser.h"

enum { MAX_HEAD = 2048, MAX_HEADERS = 12, MAX_BODY = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static enum err find_by_bytes(struct str text, size_t *ret_size)
{
    size_t scanned = 0;
    enum err err = ERR_AGAIN;
    for (size_t len = 0; len <= text.len && err == ERR_AGAIN; len++) {
        err = http_head_find((struct str){text.ptr, len}, MAX_HEAD, &scanned, ret_size);
    }
    return err;
}

static enum err decode(struct str *text, size_t step, struct buf *body)
{
    struct http_chunked chunked = {0};
    enum err err = ERR_AGAIN;
    buf_init(body, MAX_BODY);
    while (err == ERR_AGAIN && text->len > 0) {
        struct str piece = {text->ptr, step < text->len ? step : text->len};
        size_t before = piece.len;
        err = http_chunked_decode(&chunked, &piece, body);
        *text = str_skip(*text, before - piece.len);
    }
    return err;
}

static void try_body(struct str text)
{
    struct buf whole, cut;
    struct str whole_rest = text, cut_rest = text;
    enum err whole_err = decode(&whole_rest, text.len, &whole);
    enum err cut_err = decode(&cut_rest, 1, &cut);
    must(whole_err == cut_err);
    must(whole_err || whole_rest.ptr == cut_rest.ptr);
    must(whole_err || str_eq(buf_str(&whole), buf_str(&cut)));
    buf_fini(&whole);
    buf_fini(&cut);
}

static void try_request(const struct http_request *request)
{
    must(request->path.len > 0);
    for (size_t i = 0; i < request->header_count; i++) {
        must(http_request_header(request, request->headers[i].name).ptr != NULL);
        http_request_has_token(request, request->headers[i].name, STR("x"));
    }
    http_request_param(request, STR("sid"));
}

static void try_head(struct str text)
{
    struct http_header headers[MAX_HEADERS];
    struct http_head head;
    size_t scanned = 0, size = 0, size_by_bytes = 0;
    unsigned status = 0;
    enum err err = http_head_find(text, MAX_HEAD, &scanned, &size);
    must(find_by_bytes(text, &size_by_bytes) == err && size == size_by_bytes);
    http_head_origin(text);
    if (err) {
        return;
    }
    must(size <= MAX_HEAD);
    err = http_head_parse((struct str){text.ptr, size}, headers, MAX_HEADERS, &head, &status);
    must(!err == !status);
    if (!err) {
        try_request(&head.request);
        if (head.chunked) {
            try_body(str_skip(text, size));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1); /* of exactly this size, for the sanitizer */
    must(copy != NULL);
    if (size) {
        memcpy(copy, data, size);
    }
    try_head((struct str){copy, size});
    free(copy);
    return 0;
}
