#include "http/request.h"

struct str http_request_header(const struct http_request *request, struct str name)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (str_eq_nocase(request->headers[i].name, name)) {
            return request->headers[i].value;
        }
    }
    return (struct str){NULL, 0};
}

static bool list_has(struct str list, struct str token)
{
    struct str item;
    while (str_split(&list, ',', &item)) {
        if (str_eq_nocase(str_trim(item), token)) {
            return true;
        }
    }
    return false;
}

bool http_request_has_token(const struct http_request *request, struct str name, struct str token)
{
    for (size_t i = 0; i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];
        if (str_eq_nocase(header->name, name) && list_has(header->value, token)) {
            return true;
        }
    }
    return false;
}

struct str http_request_param(const struct http_request *request, struct str name)
{
    struct str rest = request->query, pair;
    while (rest.len > 0 && str_split(&rest, '&', &pair)) {
        size_t equals = str_find(pair, '=');
        if (str_eq((struct str){pair.ptr, equals}, name)) {
            return str_skip(pair, equals + 1);
        }
    }
    return (struct str){NULL, 0};
}
