/*
 * Who a client is: JSON Web Tokens (RFC 7519) to identities. The only user of libjwt.
 *
 * The algorithm is ours to choose, never the token's: a header that names another is refused before
 * anything is decoded. libjwt checks the signature; the claims are checked here, since it checks
 * none.
 */
#ifndef APP_AUTH_H
#define APP_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/room.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/str.h"

enum app_auth_algorithm { APP_AUTH_HS256, APP_AUTH_HS384, APP_AUTH_HS512 };

struct app_auth_options {
    enum app_auth_algorithm algorithm;
    const char *secret;
    const char *issuer;   /* what `iss` must be; NULL: anything */
    const char *audience; /* what `aud` must be or contain; NULL: anything */
    uint64_t leeway_s;    /* seconds by which the issuer's clock may differ */
};

enum { APP_TOKEN_MAX = 8192 };

struct app_identity {
    struct room_name sub_room;     /* user:<sub> */
    struct room_name address_room; /* user:<address>; len 0 where the token has none */
    int64_t expires_s;             /* seconds since 1970, rounded up; 0: never */
    int64_t not_before_s;          /* likewise; 0: good from the beginning */
    uint32_t issued_s;             /* likewise, the token's iat; 0: it does not say */
    uint64_t token_id;             /* the beginning of its jti's SHA-256; 0: it has none */
};

/* The user id: what stands behind "user:" in sub_room. */
struct str app_identity_sub(const struct app_identity *identity);
/* As in an identity; the same in all gateways (of one byte order). */
uint64_t app_auth_token_id(struct str jti);
/* The room that `connected` shows: by address, else by sub. */
const struct room_name *app_identity_room(const struct app_identity *identity);

/*
 * DENIED, with *ret_why saying why in words for the log (a literal), for any token that is not good
 * at now_s (seconds since 1970). NOMEM.
 */
MUST_CHECK enum err app_auth_verify(const struct app_auth_options *options, struct str token,
                                    int64_t now_s, struct app_identity *ret_identity,
                                    const char **ret_why);
/* What of this depends on the time: NULL, or why the token is not good at now_s, as above. */
const char *app_auth_check_dates(const struct app_auth_options *options,
                                 const struct app_identity *identity, int64_t now_s);

#endif
