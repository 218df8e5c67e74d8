/* Base64 (RFC 4648 section 4), with padding. */
#ifndef UTIL_BASE64_H
#define UTIL_BASE64_H

#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

#define BASE64_LEN(n) (((n) + 2) / 3 * 4)

/* Appends the encoded bytes. LIMIT, NOMEM. */
MUST_CHECK enum err base64_encode(struct str bytes, struct buf *out);
/*
 * Appends the decoded bytes. Line breaks are skipped (some clients insert them); any other foreign
 * byte, wrong padding or a stray bit is INVALID. LIMIT, NOMEM.
 */
MUST_CHECK enum err base64_decode(struct str text, struct buf *out);

#endif
