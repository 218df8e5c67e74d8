#include "certificate.h"

#include <time.h>

#include "log/log.h"
#include "util/clock.h"

enum err certificate_load(const struct gateway_settings *settings, struct tls_context **ret_context,
                          struct buf *complaint)
{
    if (!settings->tls_certificate) {
        *ret_context = NULL;
        return OK;
    }
    const struct tls_options options = {
        .cert_file = settings->tls_certificate,
        .key_file = settings->tls_key,
        .server = true,
        .protocol = "http/1.1",
        .ticket_secret = settings->ticket_secret,
    };
    return tls_context_new(&options, ret_context, complaint);
}

void certificate_log(const struct gateway_settings *settings, const struct tls_context *context)
{
    if (!context) {
        return;
    }
    time_t expires = tls_context_expires(context);
    struct tm utc;
    char text[32] = "unknown";
    if (gmtime_r(&expires, &utc)) {
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
    if (expires > clock_wall_ms() / 1000) {
        log_info("certificate read", LOG_CSTR("file", settings->tls_certificate),
                 LOG_CSTR("expires", text));
    } else {
        log_warn("certificate has expired", LOG_CSTR("file", settings->tls_certificate),
                 LOG_CSTR("expires", text));
    }
}
