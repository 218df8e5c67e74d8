#include "app/auth.h"

#include <jwt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char secret[] = "a secret of at least thirty-two bytes";
static const struct app_auth_options plain = {.secret = secret};
enum { NOW = 1700000000 };

/* Owned by the caller. */
static char *mint(jwt_alg_t alg, const char *key, const char *claims)
{
    jwt_t *jwt;
    assert_int_equal(jwt_new(&jwt), 0);
    assert_int_equal(jwt_add_grants_json(jwt, claims), 0);
    assert_int_equal(jwt_set_alg(jwt, alg, (const unsigned char *)key, key ? (int)strlen(key) : 0),
                     0);
    char *token = jwt_encode_str(jwt);
    jwt_free(jwt);
    assert_non_null(token);
    return token;
}

static enum err verify(const struct app_auth_options *options, const char *claims,
                       struct app_identity *identity, const char **why)
{
    char *token = mint(JWT_ALG_HS256, secret, claims);
    enum err err = app_auth_verify(options, str_from(token), NOW, identity, why);
    free(token);
    return err;
}

static void assert_good(const struct app_auth_options *options, const char *claims)
{
    struct app_identity identity;
    const char *why = "";
    assert_int_equal(verify(options, claims, &identity, &why), OK);
}

static void assert_denied(const struct app_auth_options *options, const char *claims,
                          const char *expected)
{
    struct app_identity identity;
    const char *why = "";
    assert_int_equal(verify(options, claims, &identity, &why), ERR_DENIED);
    assert_string_equal(why, expected);
}

static void a_good_token_tells_who(void **state)
{
    (void)state;
    struct app_identity identity;
    const char *why;
    assert_int_equal(
        verify(&plain,
               "{\"sub\":\"u1\",\"address\":\"0xABCDEF0123456789abcdef0123456789ABCDEF01\","
               "\"exp\":1700000001}",
               &identity, &why),
        OK);
    assert_true(str_eq(app_identity_sub(&identity), STR("u1")));
    assert_string_equal(app_identity_room(&identity)->text,
                        "user:0xabcdef0123456789abcdef0123456789abcdef01");
    assert_int_equal(identity.expires_s, 1700000001);
    assert_int_equal(verify(&plain, "{\"sub\":\"u1\"}", &identity, &why), OK);
    assert_string_equal(app_identity_room(&identity)->text, "user:u1");
    assert_int_equal(identity.expires_s, 0);
}

static void times_are_checked(void **state)
{
    (void)state;
    struct app_auth_options late = plain;
    late.leeway_s = 10;
    assert_denied(&plain, "{\"sub\":\"u\",\"exp\":1700000000}", "expired");
    assert_denied(&plain, "{\"sub\":\"u\",\"nbf\":1700000001}", "not valid yet");
    assert_denied(&plain, "{\"sub\":\"u\",\"exp\":\"soon\"}", "exp or nbf is not a number");
    assert_good(&plain, "{\"sub\":\"u\",\"exp\":1700000000.5,\"nbf\":1700000000}");
    assert_good(&late, "{\"sub\":\"u\",\"exp\":1699999991}");
    assert_denied(&late, "{\"sub\":\"u\",\"exp\":1699999990}", "expired");
}

static void dates_are(const char *claims, int64_t expires_s, int64_t not_before_s)
{
    struct app_identity identity;
    const char *why = "";
    assert_int_equal(verify(&plain, claims, &identity, &why), OK);
    assert_int_equal(identity.expires_s, expires_s);
    assert_int_equal(identity.not_before_s, not_before_s);
}

/* What is told of the dates refuses at the same seconds as the token itself. */
static void dates_are_whole_seconds(void **state)
{
    (void)state;
    dates_are("{\"sub\":\"u\"}", 0, 0);
    dates_are("{\"sub\":\"u\",\"exp\":1700000001,\"nbf\":1700000000}", 1700000001, 1700000000);
    dates_are("{\"sub\":\"u\",\"exp\":1700000000.001,\"nbf\":1699999999.001}", 1700000001,
              1700000000);
    dates_are("{\"sub\":\"u\",\"exp\":1e300,\"nbf\":-1.5}", 0, -1);
    assert_denied(&plain, "{\"sub\":\"u\",\"exp\":0}", "expired");
    assert_denied(&plain, "{\"sub\":\"u\",\"exp\":-0.5}", "expired");
    assert_denied(&plain, "{\"sub\":\"u\",\"exp\":-1e300}", "expired");
    assert_denied(&plain, "{\"sub\":\"u\",\"nbf\":1700000000.001}", "not valid yet");
    assert_denied(&plain, "{\"sub\":\"u\",\"nbf\":1e300}", "not valid yet");
}

static void issuer_and_audience_are_checked_when_set(void **state)
{
    (void)state;
    struct app_auth_options strict = plain;
    strict.issuer = "guesslyfe";
    strict.audience = "web";
    assert_good(&strict, "{\"sub\":\"u\",\"iss\":\"guesslyfe\",\"aud\":\"web\"}");
    assert_good(&strict, "{\"sub\":\"u\",\"iss\":\"guesslyfe\",\"aud\":[\"app\",\"web\"]}");
    assert_denied(&strict, "{\"sub\":\"u\",\"aud\":\"web\"}", "wrong issuer");
    assert_denied(&strict, "{\"sub\":\"u\",\"iss\":\"guesslyfe\",\"aud\":[\"app\"]}",
                  "wrong audience");
    assert_denied(&strict, "{\"sub\":\"u\",\"iss\":\"guesslyfe\"}", "wrong audience");
}

static void a_user_must_be_able_to_name_a_room(void **state)
{
    (void)state;
    assert_denied(&plain, "{\"address\":\"0x1\"}", "sub is missing or cannot name a room");
    assert_denied(&plain, "{\"sub\":7}", "sub is missing or cannot name a room");
    assert_denied(&plain, "{\"sub\":\"a,b\"}", "sub is missing or cannot name a room");
    assert_denied(&plain, "{\"sub\":\"u\",\"address\":\"\"}", "address cannot name a room");
    assert_good(&plain, "{\"sub\":\"u\",\"address\":null}");
}

static void assert_token_denied(const char *token)
{
    struct app_identity identity;
    const char *why = NULL;
    assert_int_equal(app_auth_verify(&plain, str_from(token), NOW, &identity, &why), ERR_DENIED);
    assert_non_null(why);
}

static void only_our_algorithm_and_key_count(void **state)
{
    (void)state;
    const struct {
        jwt_alg_t alg;
        const char *key;
    } others[] = {
        {JWT_ALG_NONE, NULL},
        {JWT_ALG_HS512, secret},
        {JWT_ALG_HS256, "another secret of thirty-two bytes!!"},
    };
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        char *token = mint(others[i].alg, others[i].key, "{\"sub\":\"u\"}");
        assert_token_denied(token);
        free(token);
    }
}

static void any_changed_byte_is_refused(void **state)
{
    (void)state;
    char *token = mint(JWT_ALG_HS256, secret, "{\"sub\":\"u\"}");
    size_t len = strlen(token);
    for (size_t i = 0; i + 1 < len; i++) {
        char before = token[i];
        token[i] = before == 'A' ? 'B' : 'A';
        assert_token_denied(token);
        token[i] = before;
    }
    for (size_t cut = 0; cut < len; cut++) {
        struct app_identity identity;
        const char *why;
        assert_int_equal(app_auth_verify(&plain, str_range(token, cut), NOW, &identity, &why),
                         ERR_DENIED);
    }
    free(token);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    static char big[APP_TOKEN_MAX + 2];
    memset(big, 'A', sizeof big - 1);
    assert_token_denied("");
    assert_token_denied(".");
    assert_token_denied("..");
    assert_token_denied("e30.e30.e30");
    assert_token_denied("eyJhbGciOjF9.e30.");
    assert_token_denied(big);
}

static void assert_issued(const char *claims, uint32_t expected)
{
    struct app_identity identity;
    const char *why = "";
    assert_int_equal(verify(&plain, claims, &identity, &why), OK);
    assert_int_equal(identity.issued_s, expected);
}

static void a_token_says_when_it_was_issued(void **state)
{
    (void)state;
    assert_issued("{\"sub\":\"alice\",\"iat\":1700000000}", 1700000000);
    assert_issued("{\"sub\":\"alice\",\"iat\":1700000000.9}", 1700000000);
    assert_issued("{\"sub\":\"alice\"}", 0);
    assert_issued("{\"sub\":\"alice\",\"iat\":-5}", 0);
    assert_issued("{\"sub\":\"alice\",\"iat\":1e300}", UINT32_MAX);
    assert_issued("{\"sub\":\"alice\",\"iat\":\"1700000000\"}", 0);
    assert_issued("{\"sub\":\"alice\",\"iat\":null}", 0);
}

static uint64_t token_id(const char *claims)
{
    struct app_identity identity;
    const char *why = "";
    assert_int_equal(verify(&plain, claims, &identity, &why), OK);
    return identity.token_id;
}

static void a_token_is_known_by_its_id(void **state)
{
    (void)state;
    uint64_t one = token_id("{\"sub\":\"alice\",\"jti\":\"one\"}");
    assert_true(one == app_auth_token_id(STR("one")));
    assert_true(one == token_id("{\"sub\":\"bob\",\"jti\":\"one\"}"));
    assert_true(one != token_id("{\"sub\":\"alice\",\"jti\":\"two\"}"));
    assert_int_equal(token_id("{\"sub\":\"alice\"}"), 0);
    assert_int_equal(token_id("{\"sub\":\"alice\",\"jti\":\"\"}"), 0);
    assert_int_equal(token_id("{\"sub\":\"alice\",\"jti\":7}"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_says_when_it_was_issued),
        cmocka_unit_test(a_token_is_known_by_its_id),
        cmocka_unit_test(a_good_token_tells_who),
        cmocka_unit_test(times_are_checked),
        cmocka_unit_test(dates_are_whole_seconds),
        cmocka_unit_test(issuer_and_audience_are_checked_when_set),
        cmocka_unit_test(a_user_must_be_able_to_name_a_room),
        cmocka_unit_test(only_our_algorithm_and_key_count),
        cmocka_unit_test(any_changed_byte_is_refused),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
