/*
 * What clients see of TLS: the certificate and its key, from the files that the settings name.
 */
#ifndef GATEWAY_CERTIFICATE_H
#define GATEWAY_CERTIFICATE_H

#include "options.h"
#include "stream/tls.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"

/*
 * Reads the files into a context for the clients' port; NULL where the settings name none. INVALID:
 * *complaint is one sentence that says what is wrong with which; NOMEM.
 */
MUST_CHECK enum err certificate_load(const struct gateway_settings *settings,
                                     struct tls_context **ret_context, struct buf *complaint);
/* Tells the log when the certificate ends, if there is one. */
void certificate_log(const struct gateway_settings *settings, const struct tls_context *context);

#endif
