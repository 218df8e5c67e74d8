/* Tokens for trying things out: what the issuer would sign, signed with the gateway's secret. */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "publisher/cli/report.h"
#include "publisher/cli/verb.h"
#include "publisher/cli/when.h"
#include "publisher/settings.h"
#include "schema/room.h"
#include "util/base64.h"
#include "util/clock.h"
#include "util/jtext.h"
#include "util/rand.h"
#include "util/utf8.h"

enum { SECRET_MIN = 32, JTI_LEN = 16 };

struct token_settings {
    const char *secret, *issuer, *audience;
    unsigned algorithm;
};

static const char *const algorithms[] = {"HS256", "HS384", "HS512", NULL};

#define AT(field) offsetof(struct token_settings, field)

/* As gateways have them. */
static const struct config_option options[] = {
    {.env = "JWT_SECRET",
     .group = "Signing of tokens",
     .type = CONFIG_STRING,
     .max = 4096,
     .flags = CONFIG_SECRET,
     .offset = AT(secret),
     .help = "Secret that tokens are signed with, the gateways'; required"},
    {.env = "JWT_ALGORITHM",
     .group = "Signing of tokens",
     .type = CONFIG_CHOICE,
     .fallback = "HS256",
     .choices = algorithms,
     .offset = AT(algorithm),
     .help = "How it is signed"},
    {.env = "JWT_ISSUER",
     .group = "Signing of tokens",
     .type = CONFIG_STRING,
     .max = 4096,
     .offset = AT(issuer),
     .help = "The token's iss; unset: none"},
    {.env = "JWT_AUDIENCE",
     .group = "Signing of tokens",
     .type = CONFIG_STRING,
     .max = 4096,
     .offset = AT(audience),
     .help = "The token's aud; unset: none"},
};

static struct config_table table(void)
{
    return (struct config_table){options, ARRAY_LEN(options)};
}

static const struct verb_flag flags[] = {
    {.name = "sub", .value = "USER", .help = "The user id; required"},
    {.name = "address", .value = "0x…", .help = "The user's wallet; without it the token has none"},
    {.name = "expires",
     .value = "TIME",
     .help = "When it ends: 15m (from now), never, or a point in time; 1h by default"},
    {.name = "jti", .value = "TEXT", .help = "Its id; a random one by default"},
};

struct claims {
    const char *sub, *address, *jti;
    int64_t issued_s, expires_s; /* 0: never */
};

/* --- Claims --- */

/* NULL where they are good, else what is wrong. */
static const char *read_claims(const struct arguments *arguments, int64_t now_s,
                               struct claims *claims)
{
    struct room_name room;
    *claims = (struct claims){.sub = arguments_value(arguments, "sub"),
                              .address = arguments_value(arguments, "address"),
                              .jti = arguments_value(arguments, "jti"),
                              .issued_s = now_s};
    const char *expires = arguments_value(arguments, "expires");
    if (!claims->sub) {
        return "--sub USER is needed: whose token is it?";
    }
    if (room_name_make(ROOM_USER, str_from(claims->sub), &room)) {
        return "--sub: expected 1 to 128 visible ASCII characters without comma";
    }
    if (claims->address && room_name_make(ROOM_USER, str_from(claims->address), &room)) {
        return "--address: expected 1 to 128 visible ASCII characters without comma";
    }
    if (claims->jti && !utf8_valid(str_from(claims->jti))) {
        return "--jti: expected UTF-8";
    }
    if (expires && strcmp(expires, "never") == 0) {
        return NULL;
    }
    return when_parse(str_from(expires ? expires : "1h"), now_s, &claims->expires_s)
               ? "--expires: expected 15m, 1h, 7d, never, seconds since 1970, or a date and time"
               : NULL;
}

/* Nothing where there is no text. */
static enum err add_text(struct buf *json, const char *name, const char *text)
{
    if (!text) {
        return OK;
    }
    enum err err = buf_printf(json, "%s\"%s\":", json->len > 1 ? "," : "", name);
    return err ? err : jtext_quote(str_from(text), json);
}

static enum err write_claims(const struct claims *claims, const struct token_settings *settings,
                             struct buf *json)
{
    char id[JTI_LEN + 1] = "";
    rand_id(id, JTI_LEN);
    enum err err = buf_append_char(json, '{');
    err = err ? err : add_text(json, "sub", claims->sub);
    err = err ? err : add_text(json, "address", claims->address);
    err = err ? err : add_text(json, "iss", settings->issuer);
    err = err ? err : add_text(json, "aud", settings->audience);
    err = err ? err : add_text(json, "jti", claims->jti ? claims->jti : id);
    err = err ? err : buf_printf(json, ",\"iat\":%lld", (long long)claims->issued_s);
    if (!err && claims->expires_s > 0) {
        err = buf_printf(json, ",\"exp\":%lld", (long long)claims->expires_s);
    }
    return err ? err : buf_append_char(json, '}');
}

/* --- Signing --- */

/* Appends base64 of RFC 7515 section 2: the URL-safe alphabet, no padding. */
static enum err append_segment(struct str bytes, struct buf *out)
{
    size_t at = out->len;
    enum err err = base64_encode(bytes, out);
    while (!err && out->len > at && out->data[out->len - 1] == '=') {
        out->len--;
    }
    for (; !err && at < out->len; at++) {
        char *c = &out->data[at];
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
    }
    return err;
}

/* HMAC over what is there so far (RFC 7518 section 3.2). */
static enum err append_signature(const struct token_settings *settings, struct buf *token)
{
    const EVP_MD *const digests[] = {EVP_sha256(), EVP_sha384(), EVP_sha512()};
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (!HMAC(digests[settings->algorithm], settings->secret, (int)strlen(settings->secret),
              (const unsigned char *)token->data, token->len, mac, &len)) {
        return ERR_NOMEM;
    }
    enum err err = buf_append_char(token, '.');
    return err ? err : append_segment(str_range((const char *)mac, len), token);
}

static enum err sign(const struct token_settings *settings, struct str claims, struct buf *token)
{
    char header[64];
    int len = snprintf(header, sizeof header, "{\"alg\":\"%s\",\"typ\":\"JWT\"}",
                       algorithms[settings->algorithm]);
    enum err err = append_segment(str_range(header, (size_t)len), token);
    err = err ? err : buf_append_char(token, '.');
    err = err ? err : append_segment(claims, token);
    return err ? err : append_signature(settings, token);
}

/* --- The verb --- */

static enum exit_code print_token(const struct claims *claims,
                                  const struct token_settings *settings)
{
    struct buf json = {0}, token = {0};
    enum err err = write_claims(claims, settings, &json);
    err = err ? err : sign(settings, buf_str(&json), &token);
    if (!err) {
        printf(STR_FMT "\n", STR_ARG(buf_str(&token)));
    }
    buf_fini(&json);
    buf_fini(&token);
    struct report_place place = {.json = false};
    return err ? report_error(&place, EXIT_INTERNAL, err_name(err)) : EXIT_CONFIRMED;
}

static enum exit_code mint(const struct arguments *arguments, const struct token_settings *settings)
{
    struct claims claims;
    const char *wrong = read_claims(arguments, clock_wall_ms() / 1000, &claims);
    if (wrong) {
        return report_usage(wrong);
    }
    if (!settings->secret) {
        return report_usage("JWT_SECRET_FILE or JWT_SECRET is needed: the gateways' secret");
    }
    if (!utf8_valid(str_from(settings->issuer)) || !utf8_valid(str_from(settings->audience))) {
        return report_usage("JWT_ISSUER, JWT_AUDIENCE: expected UTF-8");
    }
    if (strlen(settings->secret) < SECRET_MIN) {
        fputs("guesslyfe-publish: the secret is shorter than 32 bytes: only gateways with "
              "DEVELOPMENT=true have such a one\n",
              stderr);
    }
    return print_token(&claims, settings);
}

static enum exit_code run(const struct arguments *arguments)
{
    struct token_settings settings = {0};
    struct buf complaint = {0};
    char *strings = NULL;
    enum err err = publisher_settings_read(table(), (const char *const *)arguments->settings,
                                           &settings, &strings, &complaint);
    enum exit_code code;
    if (err) {
        const char *words = complaint.len > 0 ? buf_cstr(&complaint) : NULL;
        code = report_usage(words ? words : err_name(err));
    } else {
        code = mint(arguments, &settings);
    }
    free(strings);
    buf_fini(&complaint);
    return code;
}

const struct verb verb_token = {
    .name = "token",
    .operands = "--sub USER",
    .summary = "a token for trying things out",
    .details =
        "Prints a JSON Web Token for a user and nothing else. It contacts nobody: whoever has "
        "the secret can make tokens for every user, so this is for development and for "
        "looking into an incident, where a file with the secret may be read.\n"
        "\n"
        "  JWT_SECRET_FILE=jwt-secret guesslyfe-publish token --sub alice --expires 15m",
    VERB_FLAGS(flags),
    .settings = table,
    .run = run,
};
