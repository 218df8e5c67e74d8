#include "app/token_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jwt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failing_alloc.h"
#include "util/clock.h"

#define ADDRESS "0x00000000000000000000000000000000000000aa"

enum { NOW = 1700000000, TTL_MS = 1000 };

static const char secret[] = "a secret of at least thirty-two bytes";

static struct loop *loop;
static struct app_token_cache cache;
static struct app_auth_options options;
static struct clock_fake now;
static struct app_identity identity; /* what was verified last */
static const char *why;

static void at(uint64_t ms)
{
    now.monotonic_ms = 1000000 + ms;
    clock_set_fake(&now);
    assert_int_equal(loop_turn(loop, 0), OK);
}

static void open_cache(uint64_t most)
{
    loop = loop_new();
    assert_non_null(loop);
    options = (struct app_auth_options){.secret = secret};
    app_token_cache_init(&cache, loop, most, TTL_MS);
    at(0);
}

static int set_up(void **state)
{
    (void)state;
    now.monotonic_ms = 1000000;
    clock_set_fake(&now);
    open_cache(10);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    app_token_cache_fini(&cache);
    loop_free(loop);
    clock_set_fake(NULL);
    return 0;
}

/* Owned by the caller. */
static char *mint(const char *key, const char *claims)
{
    jwt_t *jwt;
    assert_int_equal(jwt_new(&jwt), 0);
    assert_int_equal(jwt_add_grants_json(jwt, claims), 0);
    assert_int_equal(jwt_set_alg(jwt, JWT_ALG_HS256, (const unsigned char *)key, (int)strlen(key)),
                     0);
    char *token = jwt_encode_str(jwt);
    jwt_free(jwt);
    assert_non_null(token);
    return token;
}

static enum err verify_at(int64_t now_s, const char *claims)
{
    char *token = mint(secret, claims);
    why = "";
    enum err err =
        app_token_cache_verify(&cache, &options, str_from(token), now_s, &identity, &why);
    free(token);
    return err;
}

static void is_good(const char *claims)
{
    assert_int_equal(verify_at(NOW, claims), OK);
}

static void was_looked_up(uint64_t hits, uint64_t misses)
{
    assert_int_equal(cache.hits, hits);
    assert_int_equal(cache.misses, misses);
}

/* With another secret no token is good that has to be verified. */
static void a_known_token_is_not_verified_again(void **state)
{
    (void)state;
    is_good("{\"sub\":\"u\"}");
    options.secret = "another secret of at least 32 bytes, too";
    is_good("{\"sub\":\"u\"}");
    was_looked_up(1, 1);
    assert_int_equal(verify_at(NOW, "{\"sub\":\"v\"}"), ERR_DENIED);
    app_token_cache_clear(&cache);
    assert_int_equal(app_token_cache_count(&cache), 0);
    assert_int_equal(verify_at(NOW, "{\"sub\":\"u\"}"), ERR_DENIED);
    was_looked_up(1, 3);
}

static void is_the_same_again(const char *claims)
{
    is_good(claims);
    struct app_identity first = identity;
    uint64_t hits = cache.hits;
    memset(&identity, 0xff, sizeof identity);
    is_good(claims);
    assert_int_equal(cache.hits, hits + 1);
    assert_string_equal(identity.sub_room.text, first.sub_room.text);
    assert_true(str_eq(app_identity_sub(&identity), app_identity_sub(&first)));
    assert_string_equal(app_identity_room(&identity)->text, app_identity_room(&first)->text);
    assert_int_equal(identity.address_room.len, first.address_room.len);
    assert_int_equal(identity.expires_s, first.expires_s);
    assert_int_equal(identity.not_before_s, first.not_before_s);
}

static void who_it_is_stays_the_same(void **state)
{
    (void)state;
    char claims[512], sub[ROOM_ID_MAX + 1];
    memset(sub, 's', ROOM_ID_MAX);
    sub[ROOM_ID_MAX] = '\0';
    is_the_same_again("{\"sub\":\"u\"}");
    is_the_same_again("{\"sub\":\"u\",\"address\":\"" ADDRESS "\",\"exp\":1700000001.5,"
                      "\"nbf\":1699999999.5}");
    snprintf(claims, sizeof claims, "{\"sub\":\"%s\",\"address\":\"%s\"}", sub, sub);
    is_the_same_again(claims);
}

static void is_refused_at(int64_t now_s, const char *claims, const char *expected)
{
    uint64_t misses = cache.misses;
    assert_int_equal(verify_at(now_s, claims), ERR_DENIED);
    assert_string_equal(why, expected);
    assert_int_equal(cache.misses, misses);
}

/* The wall clock may also have been set back. */
static void dates_are_checked_each_time(void **state)
{
    (void)state;
    const char *claims = "{\"sub\":\"u\",\"exp\":1700000010,\"nbf\":1699999990}";
    is_good(claims);
    is_refused_at(NOW + 10, claims, "expired");
    is_refused_at(NOW - 11, claims, "not valid yet");
    options.leeway_s = 2;
    assert_int_equal(verify_at(NOW + 11, claims), OK);
    is_refused_at(NOW + 12, claims, "expired");
    assert_int_equal(verify_at(NOW - 12, claims), OK);
    is_refused_at(NOW - 13, claims, "not valid yet");
}

static void bad_tokens_are_not_kept(void **state)
{
    (void)state;
    char *token = mint("another secret of at least 32 bytes, too", "{\"sub\":\"u\"}");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            app_token_cache_verify(&cache, &options, str_from(token), NOW, &identity, &why),
            ERR_DENIED);
    }
    free(token);
    assert_int_equal(verify_at(NOW, "{\"sub\":\"u\",\"exp\":1700000000}"), ERR_DENIED);
    was_looked_up(0, 4);
    assert_int_equal(app_token_cache_count(&cache), 0);
}

static void a_token_goes_in_time(void **state)
{
    (void)state;
    is_good("{\"sub\":\"first\"}");
    at(TTL_MS / 4);
    is_good("{\"sub\":\"second\"}");
    at(TTL_MS / 2 + WHEEL_TICK_MS);
    is_good("{\"sub\":\"first\"}");
    is_good("{\"sub\":\"third\"}");
    was_looked_up(1, 3);
    at(TTL_MS + 2 * WHEEL_TICK_MS);
    assert_int_equal(app_token_cache_count(&cache), 1);
    is_good("{\"sub\":\"third\"}");
    is_good("{\"sub\":\"first\"}");
    was_looked_up(2, 4);
    at(3 * TTL_MS);
    at(4 * TTL_MS);
    assert_int_equal(app_token_cache_count(&cache), 0);
    assert_null(cache.young.blocks);
    assert_null(cache.old.blocks);
    assert_false(wheel_timer_is_set(&cache.timer));
}

static void tokens_are_bounded_and_the_newest_stay(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        char claims[64];
        snprintf(claims, sizeof claims, "{\"sub\":\"u%d\"}", i);
        is_good(claims);
        assert_in_range(app_token_cache_count(&cache), 1, 10);
    }
    was_looked_up(0, 100);
    for (int i = 95; i < 100; i++) {
        char claims[64];
        snprintf(claims, sizeof claims, "{\"sub\":\"u%d\"}", i);
        is_good(claims);
    }
    was_looked_up(5, 100);
}

static void none_are_kept_where_none_may_be(void **state)
{
    (void)state;
    cache.most = 0;
    is_good("{\"sub\":\"u\"}");
    is_good("{\"sub\":\"u\"}");
    was_looked_up(0, 0);
    assert_int_equal(app_token_cache_count(&cache), 0);
}

/* More than one block holds. */
static void many_are_found_again(void **state)
{
    (void)state;
    cache.most = 4000;
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < 2000; i++) {
            char claims[320];
            snprintf(claims, sizeof claims, "{\"sub\":\"%0120d\",\"address\":\"0x%040x\"}", i,
                     (unsigned)i);
            is_good(claims);
        }
    }
    was_looked_up(2000, 2000);
}

static void verify_without_memory(void *context)
{
    (void)context;
    app_token_cache_clear(&cache);
    for (int i = 0; i < 2; i++) {
        enum err err = verify_at(NOW, "{\"sub\":\"u\"}");
        assert_true(!err || err == ERR_NOMEM || failing_alloc_hit());
    }
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    failing_alloc_each(verify_without_memory, NULL);
    is_good("{\"sub\":\"u\"}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_known_token_is_not_verified_again),
        TEST(who_it_is_stays_the_same),
        TEST(dates_are_checked_each_time),
        TEST(bad_tokens_are_not_kept),
        TEST(a_token_goes_in_time),
        TEST(tokens_are_bounded_and_the_newest_stay),
        TEST(none_are_kept_where_none_may_be),
        TEST(many_are_found_again),
        TEST(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
