#include "app/auth.h"

#include <errno.h>
#include <jansson.h>
#include <jwt.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "util/base64.h"
#include "util/buf.h"
#include "util/jtext.h"

enum { HEADER_DEPTH_MAX = 4 };
#define DATE_MAX 1000000000000000 /* beyond it a date is never */

static const struct {
    const char *name;
    jwt_alg_t alg;
} algorithms[] = {
    [APP_AUTH_HS256] = {"HS256", JWT_ALG_HS256},
    [APP_AUTH_HS384] = {"HS384", JWT_ALG_HS384},
    [APP_AUTH_HS512] = {"HS512", JWT_ALG_HS512},
};

struct str app_identity_sub(const struct app_identity *identity)
{
    return room_name_id(&identity->sub_room);
}

const struct room_name *app_identity_room(const struct app_identity *identity)
{
    return identity->address_room.len > 0 ? &identity->address_room : &identity->sub_room;
}

/* Base64 of RFC 7515 section 2: the URL-safe alphabet, no padding. */
static enum err decode_segment(struct str segment, struct buf *out)
{
    struct buf text;
    buf_init(&text, APP_TOKEN_MAX);
    enum err err = buf_append(&text, segment);
    while (!err && text.len % 4 != 0) {
        err = buf_append_char(&text, '=');
    }
    for (size_t i = 0; !err && i < segment.len; i++) {
        char c = text.data[i];
        text.data[i] = c == '-' ? '+' : c == '_' ? '/' : c;
        if (c == '+' || c == '/' || c == '=') {
            err = ERR_INVALID;
        }
    }
    if (!err) {
        err = base64_decode(buf_str(&text), out);
    }
    buf_fini(&text);
    return err;
}

/* Whether the JOSE header names just the algorithm that we chose. */
static bool header_is_ours(const struct app_auth_options *options, struct str token)
{
    struct buf header;
    buf_init(&header, APP_TOKEN_MAX);
    bool ours = false;
    struct str segment = str_range(token.ptr, str_find(token, '.'));
    if (!decode_segment(segment, &header) && !jtext_check(buf_str(&header), HEADER_DEPTH_MAX) &&
        jtext_kind(buf_str(&header)) == JTEXT_OBJECT) {
        struct str alg = jtext_member(buf_str(&header), STR("alg"));
        ours = jtext_kind(alg) == JTEXT_STRING &&
               jtext_is(str_range(alg.ptr + 1, alg.len - 2),
                        str_from(algorithms[options->algorithm].name));
    }
    buf_fini(&header);
    return ours;
}

/* The claims of a token whose signature is right; NULL otherwise. */
static json_t *verified_claims(const struct app_auth_options *options, const char *token)
{
    jwt_t *jwt;
    if (jwt_decode(&jwt, token, (const unsigned char *)options->secret,
                   (int)strlen(options->secret)) != 0) {
        return NULL;
    }
    json_t *claims = NULL;
    if (jwt_get_alg(jwt) == algorithms[options->algorithm].alg) {
        char *text = jwt_get_grants_json(jwt, NULL);
        claims = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
        free(text);
    }
    jwt_free(jwt);
    return claims;
}

/*
 * NumericDate (RFC 7519 section 2): seconds, possibly with a fraction. Rounded up, since we ask the
 * time in whole seconds: none of them is before one of the two and not before the other. 0 where it
 * is missing; false where it is not a number.
 */
static bool read_date(const json_t *claims, const char *name, int64_t *ret_s)
{
    const json_t *date = json_object_get(claims, name);
    double value = date ? json_number_value(date) : 0;
    value = value > DATE_MAX ? DATE_MAX : value < -DATE_MAX ? -DATE_MAX : value;
    *ret_s = (int64_t)value;
    *ret_s += (double)*ret_s < value;
    return !date || json_is_number(date);
}

static const char *read_dates(const json_t *claims, struct app_identity *identity)
{
    int64_t exp;
    if (!read_date(claims, "exp", &exp) || !read_date(claims, "nbf", &identity->not_before_s)) {
        return "exp or nbf is not a number";
    }
    bool finite = json_object_get(claims, "exp") && exp < DATE_MAX;
    identity->expires_s = !finite ? 0 : exp < 1 ? 1 : exp;
    return NULL;
}

const char *app_auth_check_dates(const struct app_auth_options *options,
                                 const struct app_identity *identity, int64_t now_s)
{
    int64_t leeway = (int64_t)options->leeway_s;
    if (identity->expires_s != 0 && now_s >= identity->expires_s + leeway) {
        return "expired";
    }
    return now_s < identity->not_before_s - leeway ? "not valid yet" : NULL;
}

/* What a revocation or an operator may name. A time that is none is that of an old token. */
static void read_token_id(const json_t *claims, struct app_identity *identity)
{
    double iat = json_number_value(json_object_get(claims, "iat"));
    const json_t *jti = json_object_get(claims, "jti");
    identity->issued_s = iat <= 0 ? 0 : iat >= UINT32_MAX ? UINT32_MAX : (uint32_t)iat;
    identity->token_id =
        json_is_string(jti)
            ? app_auth_token_id(str_range(json_string_value(jti), json_string_length(jti)))
            : 0;
}

uint64_t app_auth_token_id(struct str jti)
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    uint64_t id;
    SHA256((const unsigned char *)jti.ptr, jti.len, hash);
    memcpy(&id, hash, sizeof id);
    return jti.len == 0 ? 0 : id == 0 ? 1 : id;
}

static bool is_string(const json_t *value, const char *expected)
{
    return json_is_string(value) &&
           str_eq(str_range(json_string_value(value), json_string_length(value)),
                  str_from(expected));
}

static bool audience_matches(const json_t *aud, const char *expected)
{
    size_t i;
    json_t *one;
    if (!json_is_array(aud)) {
        return is_string(aud, expected);
    }
    json_array_foreach(aud, i, one)
    {
        if (is_string(one, expected)) {
            return true;
        }
    }
    return false;
}

static const char *check_parties(const struct app_auth_options *options, const json_t *claims)
{
    if (options->issuer && !is_string(json_object_get(claims, "iss"), options->issuer)) {
        return "wrong issuer";
    }
    if (options->audience && !audience_matches(json_object_get(claims, "aud"), options->audience)) {
        return "wrong audience";
    }
    return NULL;
}

static enum err user_room(const json_t *id, struct room_name *ret_room)
{
    if (!json_is_string(id)) {
        return ERR_INVALID;
    }
    return room_name_make(ROOM_USER, str_range(json_string_value(id), json_string_length(id)),
                          ret_room);
}

static const char *read_user(const json_t *claims, struct app_identity *identity)
{
    const json_t *address = json_object_get(claims, "address");
    if (user_room(json_object_get(claims, "sub"), &identity->sub_room)) {
        return "sub is missing or cannot name a room";
    }
    identity->address_room.len = 0;
    if (address && !json_is_null(address) && user_room(address, &identity->address_room)) {
        return "address cannot name a room";
    }
    return NULL;
}

static const char *check_claims(const struct app_auth_options *options, const json_t *claims,
                                int64_t now_s, struct app_identity *identity)
{
    const char *why = read_dates(claims, identity);
    why = why ? why : app_auth_check_dates(options, identity, now_s);
    why = why ? why : check_parties(options, claims);
    read_token_id(claims, identity);
    return why ? why : read_user(claims, identity);
}

enum err app_auth_verify(const struct app_auth_options *options, struct str token, int64_t now_s,
                         struct app_identity *ret_identity, const char **ret_why)
{
    if (token.len > APP_TOKEN_MAX) {
        *ret_why = "token too long";
        return ERR_DENIED;
    }
    if (!header_is_ours(options, token)) {
        *ret_why = "malformed, or another algorithm";
        return ERR_DENIED;
    }
    char *text = str_dup(token);
    if (!text) {
        return ERR_NOMEM;
    }
    struct app_identity identity;
    json_t *claims = verified_claims(options, text);
    const char *why =
        claims ? check_claims(options, claims, now_s, &identity) : "wrong signature, or malformed";
    json_decref(claims);
    free(text);
    if (why) {
        *ret_why = why;
        return ERR_DENIED;
    }
    *ret_identity = identity;
    return OK;
}
