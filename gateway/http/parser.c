#include "http/parser.h"

#include <string.h>

enum {
    BAD_REQUEST = 400,
    EXPECTATION_FAILED = 417,
    FIELDS_TOO_LARGE = 431,
    NOT_IMPLEMENTED = 501,
    VERSION_NOT_SUPPORTED = 505,
};

/* Every refusal: the error and the status that goes with it. */
static enum err refuse(unsigned status, unsigned *ret_status)
{
    *ret_status = status;
    return status == FIELDS_TOO_LARGE ? ERR_LIMIT : ERR_PROTO;
}

enum err http_head_find(struct str bytes, size_t max, size_t *scanned, size_t *ret_size)
{
    size_t end = bytes.len < max ? bytes.len : max;
    while (*scanned < end) {
        const char *lf = memchr(bytes.ptr + *scanned, '\n', end - *scanned);
        if (!lf) {
            *scanned = end;
            break;
        }
        size_t at = (size_t)(lf - bytes.ptr);
        if (at == 0 || bytes.ptr[at - 1] != '\r') {
            return ERR_PROTO;
        }
        *scanned = at + 1;
        if (at >= 3 && bytes.ptr[at - 2] == '\n') {
            /* One empty line before the request line is skipped (section 2.2), no more. */
            if (at == 3) {
                return ERR_PROTO;
            }
            *ret_size = at + 1;
            return OK;
        }
    }
    return bytes.len >= max ? ERR_LIMIT : ERR_AGAIN;
}

static bool is_alnum(unsigned char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* RFC 9110 section 5.6.2. */
static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (!is_alnum(c) && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c))) {
            return false;
        }
    }
    return s.len > 0;
}

static bool is_visible(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c <= ' ' || c >= 0x7f) {
            return false;
        }
    }
    return s.len > 0;
}

/* Visible characters, blanks, and bytes over 0x7f, which we pass on unread (RFC 9110 5.5). */
static bool is_field_value(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

/* The next line without its CRLF; the head is known to end in one. */
static struct str take_line(struct str *rest)
{
    size_t at = str_find(*rest, '\n');
    struct str line = {rest->ptr, at > 0 ? at - 1 : 0};
    *rest = str_skip(*rest, at + 1);
    return line;
}

static enum http_method method_of(struct str name)
{
    static const struct {
        struct str name;
        enum http_method method;
    } known[] = {
        {{"GET", 3}, HTTP_GET},     {{"POST", 4}, HTTP_POST}, {{"OPTIONS", 7}, HTTP_OPTIONS},
        {{"HEAD", 4}, HTTP_HEAD},   {{"PUT", 3}, HTTP_PUT},   {{"DELETE", 6}, HTTP_DELETE},
        {{"PATCH", 5}, HTTP_PATCH},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (str_eq(name, known[i].name)) {
            return known[i].method;
        }
    }
    return HTTP_OTHER;
}

/* Takes scheme and authority off a target in absolute form (section 3.2.2). */
static struct str without_authority(struct str target)
{
    static const struct str schemes[] = {{"http://", 7}, {"https://", 8}};
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        struct str scheme = schemes[i];
        if (target.len > scheme.len &&
            str_eq_nocase((struct str){target.ptr, scheme.len}, scheme)) {
            struct str rest = str_skip(target, scheme.len);
            size_t end = 0;
            while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?') {
                end++;
            }
            return end == 0 ? target : str_skip(rest, end);
        }
    }
    return target;
}

static bool parse_target(struct str target, struct http_request *request)
{
    if (!is_visible(target) || str_find(target, '#') < target.len) {
        return false;
    }
    bool asterisk = request->method == HTTP_OPTIONS && str_eq(target, STR("*"));
    struct str rest = without_authority(target);
    size_t mark = str_find(rest, '?');
    request->path = (struct str){rest.ptr, mark};
    request->query = mark < rest.len ? str_skip(rest, mark + 1) : STR("");
    if (request->path.len == 0 && rest.ptr != target.ptr) {
        request->path = STR("/");
    }
    return asterisk || (request->path.len > 0 && request->path.ptr[0] == '/');
}

static enum err parse_version(struct str version, struct http_request *request,
                              unsigned *ret_status)
{
    const char *text = version.ptr;
    if (version.len != 8 || memcmp(text, "HTTP/", 5) || text[5] < '0' || text[5] > '9' ||
        text[6] != '.' || text[7] < '0' || text[7] > '9') {
        return refuse(BAD_REQUEST, ret_status);
    }
    if (text[5] != '1') {
        return refuse(VERSION_NOT_SUPPORTED, ret_status);
    }
    request->minor_version = text[7] == '0' ? 0 : 1;
    return OK;
}

static enum err parse_request_line(struct str line, struct http_request *request,
                                   unsigned *ret_status)
{
    struct str method, target;
    if (!str_split(&line, ' ', &method) || !is_token(method) || !str_split(&line, ' ', &target) ||
        !line.ptr) {
        return refuse(BAD_REQUEST, ret_status);
    }
    enum err err = parse_version(line, request, ret_status);
    if (err) {
        return err;
    }
    if (str_eq(method, STR("CONNECT"))) {
        return refuse(NOT_IMPLEMENTED, ret_status);
    }
    request->method = method_of(method);
    return parse_target(target, request) ? OK : refuse(BAD_REQUEST, ret_status);
}

/* A folded line begins with a blank and so has no token for a name (section 5.2). */
static bool parse_header(struct str line, struct http_header *ret_header)
{
    size_t colon = str_find(line, ':');
    struct http_header header = {
        .name = {line.ptr, colon},
        .value = str_trim(str_skip(line, colon + 1)),
    };
    if (colon == line.len || !is_token(header.name) || !is_field_value(header.value)) {
        return false;
    }
    *ret_header = header;
    return true;
}

static enum err parse_headers(struct str rest, struct http_header *headers, size_t max,
                              struct http_request *request, unsigned *ret_status)
{
    size_t count = 0;
    for (;;) {
        struct str line = take_line(&rest);
        if (line.len == 0) {
            break;
        }
        if (count == max) {
            return refuse(FIELDS_TOO_LARGE, ret_status);
        }
        if (!parse_header(line, &headers[count])) {
            return refuse(BAD_REQUEST, ret_status);
        }
        count++;
    }
    request->headers = headers;
    request->header_count = count;
    return OK;
}

/* How many headers have the name; the last one's value in *value. */
static size_t count_headers(const struct http_request *request, struct str name, struct str *value)
{
    size_t count = 0;
    for (size_t i = 0; i < request->header_count; i++) {
        if (str_eq_nocase(request->headers[i].name, name)) {
            *value = request->headers[i].value;
            count++;
        }
    }
    return count;
}

/* The characters of RFC 3986 section 3.2 without user information. */
static bool is_host(struct str value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if (!is_alnum(c) && (c == '\0' || !strchr("-._~%!$&'()*+,;=:[]", c))) {
            return false;
        }
    }
    return true;
}

/* Exactly one from HTTP/1.1 on, at most one before (section 3.2). */
static bool host_is_legal(const struct http_request *request)
{
    struct str value = {NULL, 0};
    size_t count = count_headers(request, STR("Host"), &value);
    return count <= 1 && (count == 1 || request->minor_version == 0) && is_host(value);
}

/* Section 6: how long the body is. */
static enum err parse_framing(struct http_head *head, unsigned *ret_status)
{
    struct str length = {NULL, 0}, coding = {NULL, 0};
    size_t lengths = count_headers(&head->request, STR("Content-Length"), &length);
    size_t codings = count_headers(&head->request, STR("Transfer-Encoding"), &coding);
    if (lengths > 1 || (lengths && codings) || (codings && head->request.minor_version == 0)) {
        return refuse(BAD_REQUEST, ret_status);
    }
    if (codings > 0) {
        head->chunked = codings == 1 && str_eq_nocase(coding, STR("chunked"));
        return head->chunked ? OK : refuse(NOT_IMPLEMENTED, ret_status);
    }
    if (lengths && (length.len == 0 || str_to_u64(length, &head->content_length))) {
        return refuse(BAD_REQUEST, ret_status);
    }
    return OK;
}

static enum err parse_wishes(struct http_head *head, unsigned *ret_status)
{
    const struct http_request *request = &head->request;
    struct str connection = STR("Connection"), expectation = {NULL, 0};
    bool close = http_request_has_token(request, connection, STR("close"));
    head->keep_alive = !close && (request->minor_version > 0 ||
                                  http_request_has_token(request, connection, STR("keep-alive")));
    if (request->minor_version > 0 && count_headers(request, STR("Expect"), &expectation)) {
        if (!str_eq_nocase(expectation, STR("100-continue"))) {
            return refuse(EXPECTATION_FAILED, ret_status);
        }
        head->expects_continue = true;
    }
    return OK;
}

enum err http_head_parse(struct str bytes, struct http_header *headers, size_t max_headers,
                         struct http_head *ret_head, unsigned *ret_status)
{
    struct http_head head = {0};
    struct str line;
    do {
        line = take_line(&bytes);
    } while (line.len == 0 && bytes.len > 0);
    enum err err = parse_request_line(line, &head.request, ret_status);
    if (!err) {
        err = parse_headers(bytes, headers, max_headers, &head.request, ret_status);
    }
    if (!err && !host_is_legal(&head.request)) {
        err = refuse(BAD_REQUEST, ret_status);
    }
    if (!err) {
        err = parse_framing(&head, ret_status);
    }
    if (!err) {
        err = parse_wishes(&head, ret_status);
    }
    if (!err) {
        *ret_head = head;
    }
    return err;
}

struct str http_head_origin(struct str bytes)
{
    struct http_header header;
    struct str line;
    while (str_split(&bytes, '\n', &line) && bytes.ptr) {
        if (line.len > 0 && line.ptr[line.len - 1] == '\r') {
            line.len--;
        }
        if (parse_header(line, &header) && str_eq_nocase(header.name, STR("Origin"))) {
            return header.value;
        }
    }
    return (struct str){NULL, 0};
}
