#include "options.h"

#include <string.h>

#include "app/auth.h"
#include "bus/envelope.h"
#include "certificate.h"
#include "redis/options.h"
#include "util/str.h"
#include "workers/supervisor.h"

enum {
    SECRET_BYTES_MIN = 32,
    SECRET_BYTES_MAX = 4096,
    QUEUE_BYTES_MIN = 2 * BUS_PAYLOAD_MAX, /* one event more than a client may be busy with */
};

static const char *const algorithms[] = {
    [APP_AUTH_HS256] = "HS256",
    [APP_AUTH_HS384] = "HS384",
    [APP_AUTH_HS512] = "HS512",
    NULL,
};
static const char *const levels[] = {"error", "warn", "info", "debug", NULL};
static const char *const formats[] = {"text", "json", NULL};
static const char *const automatic[] = {"auto", NULL};

#define AT(field)            offsetof(struct gateway_settings, field)
#define REDIS_OPTION(member) offsetof(struct gateway_settings, redis.member)
#define BUS_OPTION(member)   offsetof(struct gateway_settings, bus.member)

static const struct config_option options[] = {
#include "options.def"
};

struct config_table gateway_option_table(void)
{
    return (struct config_table){options, ARRAY_LEN(options)};
}

static enum err refuse(struct buf *complaint, struct str sentence)
{
    enum err err = buf_append(complaint, sentence);
    return err ? err : ERR_INVALID;
}

static enum err check_secret(const struct gateway_settings *settings, struct buf *complaint)
{
    size_t len = settings->jwt_secret ? strlen(settings->jwt_secret) : 0;
    if (len == 0) {
        return refuse(complaint,
                      STR("JWT_SECRET is not set; expected the secret that tokens are "
                          "signed with, 32 bytes or more (openssl rand -hex 32 makes one)"));
    }
    if (len >= SECRET_BYTES_MIN || settings->development) {
        return OK;
    }
    enum err err = buf_printf(complaint,
                              "JWT_SECRET has %zu bytes; expected %d or more, so that it cannot be "
                              "guessed (openssl rand -hex 32 makes one), or DEVELOPMENT=true",
                              len, SECRET_BYTES_MIN);
    return err ? err : ERR_INVALID;
}

static enum err check_certificate(const struct gateway_settings *settings, struct buf *complaint)
{
    if (!settings->tls_certificate != !settings->tls_key) {
        return refuse(complaint, STR("only one of TLS_CERTIFICATE and TLS_KEY is set; expected "
                                     "both, or none where a proxy does TLS"));
    }
    struct tls_context *context = NULL;
    enum err err = certificate_load(settings, &context, complaint);
    tls_context_unref(context);
    return err;
}

enum err gateway_settings_check(const struct gateway_settings *settings, struct buf *complaint)
{
    enum err err = check_secret(settings, complaint);
    if (err) {
        return err;
    }
    if (settings->ops_port != 0 && settings->port == settings->ops_port) {
        return refuse(complaint,
                      STR("PORT and OPS_PORT are the same; expected two different ports"));
    }
    err = check_certificate(settings, complaint);
    return err ? err : redis_options_check(&settings->redis, complaint);
}
