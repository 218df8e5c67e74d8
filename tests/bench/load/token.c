#include "token.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "util/clock.h"

/* {"alg":"HS256","typ":"JWT"} */
static const char head[] = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

enum { LIFETIME_S = 3600, CLAIMS_MAX = 192, SIGNATURE_LEN = 32 };

/* Base64 in the alphabet of RFC 4648 section 5, without padding; returns its length. */
static size_t encode_url(const unsigned char *bytes, int len, char *out)
{
    size_t n = (size_t)EVP_EncodeBlock((unsigned char *)out, bytes, len);
    while (n > 0 && out[n - 1] == '=') {
        n--;
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
    }
    out[n] = '\0';
    return n;
}

enum err token_make(const char *secret, unsigned user, char out[TOKEN_MAX])
{
    long long now = clock_wall_ms() / 1000;
    char claims[CLAIMS_MAX];
    int claims_len = snprintf(claims, sizeof(claims),
                              "{\"sub\":\"%u\",\"address\":\"0x%040x\",\"iat\":%lld,\"exp\":%lld}",
                              user, user, now, now + LIFETIME_S);
    if (claims_len < 0 || claims_len >= (int)sizeof(claims)) {
        return ERR_LIMIT;
    }
    char text[TOKEN_MAX];
    size_t len = sizeof(head);
    memcpy(text, head, len);
    text[len - 1] = '.';
    len += encode_url((const unsigned char *)claims, claims_len, text + len);

    unsigned char signature[SIGNATURE_LEN];
    if (HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)text, len, signature,
             NULL) == NULL) {
        return ERR_IO;
    }
    text[len++] = '.';
    encode_url(signature, sizeof(signature), text + len);
    memcpy(out, text, sizeof(text));
    return OK;
}
