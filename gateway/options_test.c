#include "options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static char secret[] = "a secret of thirty-two bytes, or more";

/* Loads the flags on top of a good secret and checks them; the complaint's beginning must be this.
 */
static enum err check(const char *flag, const char *value, const char *flag2, const char *value2,
                      const char *complaint)
{
    char *argv[] = {(char *)"gateway", (char *)"--jwt-secret", secret,        (char *)flag,
                    (char *)value,     (char *)flag2,          (char *)value2};
    struct gateway_settings settings = {0};
    struct buf text;
    char *strings = NULL;
    int rest, argc = flag2 ? 7 : flag ? 5 : 3;
    buf_init(&text, 0);
    enum err err =
        config_load(gateway_option_table(), argc, argv, &settings, &rest, &strings, &text);
    err = err ? err : gateway_settings_check(&settings, &text);
    const char *said = buf_cstr(&text);
    assert_non_null(strstr(said ? said : "", complaint));
    assert_int_equal(err == OK, *complaint == '\0');
    buf_fini(&text);
    free(strings);
    return err;
}

static void defaults_with_a_secret_are_good(void **state)
{
    (void)state;
    unsetenv("JWT_SECRET");
    assert_int_equal(check(NULL, NULL, NULL, NULL, ""), OK);
}

static void a_secret_is_required(void **state)
{
    (void)state;
    check("--jwt-secret", "", NULL, NULL, "JWT_SECRET is not set");
    /* Not even in development, where everybody would be let in. */
    check("--jwt-secret", "", "--development", "true", "JWT_SECRET is not set");
}

static void a_short_secret_is_for_development(void **state)
{
    (void)state;
    check("--jwt-secret", "0123456789012345678901234567890", NULL, NULL, "JWT_SECRET has 31 bytes");
    check("--jwt-secret", "01234567890123456789012345678901", NULL, NULL, "");
    check("--jwt-secret", "short", "--development", "true", "");
}

static void two_servers_need_two_ports(void **state)
{
    (void)state;
    check("--port", "4000", "--ops-port", "4000", "PORT and OPS_PORT are the same");
    check("--port", "9090", NULL, NULL, "PORT and OPS_PORT are the same");
    check("--port", "0", "--ops-port", "0", ""); /* any two free ones */
}

static void backoff_grows(void **state)
{
    (void)state;
    check("--redis-backoff-min", "2000", "--redis-backoff-max", "1000",
          "REDIS_BACKOFF_MIN is larger than REDIS_BACKOFF_MAX");
    check("--redis-backoff-min", "1000", "--redis-backoff-max", "1000", "");
}

static void a_key_needs_its_certificate(void **state)
{
    (void)state;
    check("--redis-tls-key", "key.pem", NULL, NULL, "REDIS_TLS_KEY is set without REDIS_TLS_CERT");
    check("--redis-tls-key", "key.pem", "--redis-tls-cert", "cert.pem", "");
}

static void tls_needs_both_files(void **state)
{
    (void)state;
    const char *complaint = "only one of TLS_CERTIFICATE and TLS_KEY is set; expected both";
    check("--tls-certificate", "/nonexistent.crt", NULL, NULL, complaint);
    check("--tls-key", "/nonexistent.key", NULL, NULL, complaint);
    check("--tls-key", "/nonexistent.key", "--tls-certificate", "/nonexistent.crt",
          "TLS: cannot use the certificate /nonexistent.crt: No such file or directory");
}

static void sentinels_need_a_name(void **state)
{
    (void)state;
    check("--redis-sentinels", "a,b:1", NULL, NULL,
          "REDIS_SENTINELS is set without REDIS_SENTINEL_MASTER");
    check("--redis-sentinels", "a,,b", "--redis-sentinel-master", "m",
          "REDIS_SENTINELS is \"a,,b\"");
    check("--redis-sentinels", "a,[::1]:2", "--redis-sentinel-master", "m", "");
}

static void the_largest_event_fits_into_a_queue(void **state)
{
    (void)state;
    check("--client-queue-bytes", "2097151", NULL, NULL, "expected a number from 2097152 to");
    check("--client-queue-bytes", "2097152", NULL, NULL, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_with_a_secret_are_good),
        cmocka_unit_test(a_secret_is_required),
        cmocka_unit_test(a_short_secret_is_for_development),
        cmocka_unit_test(two_servers_need_two_ports),
        cmocka_unit_test(backoff_grows),
        cmocka_unit_test(a_key_needs_its_certificate),
        cmocka_unit_test(tls_needs_both_files),
        cmocka_unit_test(sentinels_need_a_name),
        cmocka_unit_test(the_largest_event_fits_into_a_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
