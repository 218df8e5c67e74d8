#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "stream/tls_private.h"
#include "util/attr.h"

/*
 * Of servers. Forward secrecy and AEAD only; AES-128 first, since it is fastest where the processor
 * has it, and ChaCha20 where the client says by its order that it does not have it.
 */
#define SUITES_OF_13 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define SUITES_OF_12 "ECDHE+AESGCM:ECDHE+CHACHA20"

/* One ticket is enough: whoever resumes gets the next. */
enum { TICKETS = 1, TICKET_LIFE_S = 2 * 3600, TICKET_KEYS_LEN = 80 };

const char *tls_last_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason ? reason : "unknown reason";
}

/* --- Complaints --- */

static enum err complain(struct buf *complaint, const char *what, const char *file, const char *why)
{
    enum err err = buf_printf(complaint, "TLS: cannot use the %s %s: %s", what, file, why);
    return err == ERR_NOMEM ? ERR_NOMEM : ERR_INVALID;
}

/* What would be right, for the errors that operators make. */
static const struct {
    int library, reason;
    const char *advice;
} known[] = {
    {ERR_LIB_PEM, PEM_R_NO_START_LINE, "nothing of the kind is in it; expected PEM (-----BEGIN …)"},
    {ERR_LIB_OSSL_DECODER, ERR_R_UNSUPPORTED,
     "nothing of the kind is in it; expected PEM (-----BEGIN …)"},
    {ERR_LIB_PEM, PEM_R_BAD_PASSWORD_READ,
     "it has a pass phrase; expected a key without (openssl pkey takes it off)"},
    {ERR_LIB_X509, X509_R_KEY_VALUES_MISMATCH, "it does not belong to the certificate"},
    {ERR_LIB_X509, X509_R_KEY_TYPE_MISMATCH, "it does not belong to the certificate"},
    {ERR_LIB_SSL, SSL_R_NO_CERTIFICATE_ASSIGNED, "it does not belong to the certificate"},
};

static const char *advice_for(unsigned long error)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (ERR_GET_LIB(error) == known[i].library && ERR_GET_REASON(error) == known[i].reason) {
            return known[i].advice;
        }
    }
    return NULL;
}

/* What is wrong with a file that could be read. Empties the queue, whose first error tells most. */
static const char *advice(void)
{
    const char *first = ERR_reason_error_string(ERR_peek_error()), *found = NULL;
    for (unsigned long error; !found && (error = ERR_get_error());) {
        found = advice_for(error);
    }
    return found ? found : first ? first : "unknown reason";
}

/* OpenSSL would only say "system lib". */
static enum err check_readable(const char *what, const char *file, struct buf *complaint)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        close(fd);
        return OK;
    }
    int error = errno;
    char why[128];
    snprintf(why, sizeof why, "%s%s", strerror(error),
             error == EACCES ? "; the user that this runs as must be able to read it" : "");
    return complain(complaint, what, file, why);
}

/* Nobody can be asked for a pass phrase. */
static int no_pass_phrase(char *out, int size, int writing, void *arg)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

/* --- Files --- */

static enum err load_authorities(SSL_CTX *ssl, const struct tls_options *options,
                                 struct buf *complaint)
{
    if (options->ca_file) {
        enum err err = check_readable("CA file", options->ca_file, complaint);
        if (!err && !SSL_CTX_load_verify_file(ssl, options->ca_file)) {
            err = complain(complaint, "CA file", options->ca_file, advice());
        }
        return err;
    }
    if (!SSL_CTX_set_default_verify_paths(ssl)) {
        return complain(complaint, "CAs", "of the system", tls_last_reason());
    }
    return OK;
}

static enum err load_key(SSL_CTX *ssl, const char *file, struct buf *complaint)
{
    enum err err = check_readable("private key", file, complaint);
    if (!err && (SSL_CTX_use_PrivateKey_file(ssl, file, SSL_FILETYPE_PEM) != 1 ||
                 SSL_CTX_check_private_key(ssl) != 1)) {
        err = complain(complaint, "private key", file, advice());
    }
    return err;
}

static enum err load_certificate(SSL_CTX *ssl, const struct tls_options *options,
                                 struct buf *complaint)
{
    if (!options->cert_file) {
        return OK;
    }
    SSL_CTX_set_default_passwd_cb(ssl, no_pass_phrase);
    enum err err = check_readable("certificate", options->cert_file, complaint);
    if (!err && SSL_CTX_use_certificate_chain_file(ssl, options->cert_file) != 1) {
        err = complain(complaint, "certificate", options->cert_file, advice());
    }
    const char *key = options->key_file ? options->key_file : options->cert_file;
    return err ? err : load_key(ssl, key, complaint);
}

/* --- Behaviour --- */

static void set_modes(SSL_CTX *ssl, const struct tls_options *options)
{
    /* The owner's queue may move between two attempts to send the same bytes. */
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    /* A record's head and body in one call; the buffer has room for both anyway. */
    SSL_CTX_set_read_ahead(ssl, 1);
    SSL_CTX_set_verify(ssl, options->server ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
}

static int choose_protocol(SSL *ssl, const unsigned char **ret, unsigned char *ret_len,
                           const unsigned char *offered, unsigned offered_len, void *arg)
{
    const struct tls_context *context = arg;
    (void)ssl;
    unsigned char *chosen = NULL;
    int found = SSL_select_next_proto(&chosen, ret_len, context->protocol,
                                      context->protocol[0] + 1U, offered, offered_len);
    *ret = chosen;
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void offer_protocol(struct tls_context *context, const char *protocol)
{
    size_t len = strnlen(protocol, TLS_PROTOCOL_MAX - 1);
    context->protocol[0] = (unsigned char)len;
    memcpy(context->protocol + 1, protocol, len);
    SSL_CTX_set_alpn_select_cb(context->ssl, choose_protocol, context);
}

/* Another certificate means other keys, so that no key stays for ever. */
static bool set_ticket_keys(SSL_CTX *ssl, const unsigned char *secret)
{
    unsigned char keys[TICKET_KEYS_LEN], print[EVP_MAX_MD_SIZE];
    unsigned print_len = 0;
    const X509 *certificate = SSL_CTX_get0_certificate(ssl);
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    bool ok = certificate && hash && X509_digest(certificate, EVP_sha256(), print, &print_len) &&
              EVP_DigestInit_ex(hash, EVP_shake256(), NULL) &&
              EVP_DigestUpdate(hash, secret, TLS_TICKET_SECRET_LEN) &&
              EVP_DigestUpdate(hash, print, print_len) &&
              EVP_DigestFinalXOF(hash, keys, sizeof keys) &&
              SSL_CTX_set_tlsext_ticket_keys(ssl, keys, sizeof keys);
    EVP_MD_CTX_free(hash);
    OPENSSL_cleanse(keys, sizeof keys);
    return ok;
}

static bool set_up_server(struct tls_context *context, const struct tls_options *options)
{
    SSL_CTX *ssl = context->ssl;
    SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    /* The tickets hold the sessions; we keep none. */
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ssl, TICKET_LIFE_S);
    if (options->protocol) {
        offer_protocol(context, options->protocol);
    }
    return SSL_CTX_set_ciphersuites(ssl, SUITES_OF_13) &&
           SSL_CTX_set_cipher_list(ssl, SUITES_OF_12) && SSL_CTX_set_num_tickets(ssl, TICKETS) &&
           (!options->ticket_secret || set_ticket_keys(ssl, options->ticket_secret));
}

/* --- The context --- */

static struct tls_context *make(const struct tls_options *options)
{
    struct tls_context *context = calloc(1, sizeof *context);
    if (!context) {
        return NULL;
    }
    context->refs = 1;
    context->socket = tls_socket_method();
    context->ssl = SSL_CTX_new(options->server ? TLS_server_method() : TLS_client_method());
    if (context->socket && context->ssl &&
        SSL_CTX_set_min_proto_version(context->ssl, TLS1_2_VERSION)) {
        return context;
    }
    tls_context_unref(context);
    return NULL;
}

enum err tls_context_new(const struct tls_options *options, struct tls_context **ret_context,
                         struct buf *complaint)
{
    ERR_clear_error();
    struct tls_context *context = make(options);
    if (!context) {
        ERR_clear_error();
        return ERR_NOMEM;
    }
    set_modes(context->ssl, options);
    enum err err = options->server ? OK : load_authorities(context->ssl, options, complaint);
    err = err ? err : load_certificate(context->ssl, options, complaint);
    if (!err && options->server && !set_up_server(context, options)) {
        err = ERR_NOMEM;
    }
    ERR_clear_error();
    if (err) {
        tls_context_unref(context);
        return err;
    }
    *ret_context = context;
    return OK;
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
    context->refs++;
    return context;
}

void tls_context_unref(struct tls_context *context)
{
    if (!context || --context->refs > 0) {
        return;
    }
    SSL_CTX_free(context->ssl);
    BIO_meth_free(context->socket);
    free(context);
}

int64_t tls_context_expires(const struct tls_context *context)
{
    const X509 *certificate = SSL_CTX_get0_certificate(context->ssl);
    struct tm end = {0};
    if (!certificate || !ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end)) {
        return 0;
    }
    return timegm(&end);
}
