/* What an operator asks over a real Redis, and what a gateway answers. */
#include "app/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "app_world.h"
#include "failing_alloc.h"
#include "util/clock.h"

#define ADDRESS "0x00000000000000000000000000000000000000aa"
#define REVOKED "42[\"error\",{\"message\":\"Token revoked\"}]"

static struct app_world world;
static struct redis_peer operator; /* subscribed to guesslyfe:answer:me */
static struct eio_session alice, bob;

static int set_up(void **state)
{
    (void)state;
    app_world_init(&world);
    app_world_open(&world);
    operator=(struct redis_peer){.loop = world.peer.loop};
    operator.options = world.redis_options;
    operator.link = redis_link_new(operator.loop, &operator.options, &redis_peer_ops, &operator);
    assert_non_null(operator.link);
    PUMP_UNTIL(world.peer.loop, operator.ups == 1 && world.app->revocations.known);
    const struct str subscribe[] = {STR("SUBSCRIBE"), STR("guesslyfe:answer:me")};
    assert_int_equal(redis_link_send(operator.link, subscribe, 2, NULL, NULL), OK);
    PUMP_UNTIL(world.peer.loop, operator.pushes == 1);
    person_joins(&world, &alice, "alice", ADDRESS);
    person_joins(&world, &bob, "bob", NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    person_leaves(&alice);
    person_leaves(&bob);
    redis_link_free(operator.link);
    app_world_close(&world);
    return 0;
}

static void ask(const char *verb, const char *payload)
{
    char message[2048];
    snprintf(message, sizeof message, "0 0 %s -\n%s", verb, payload);
    const struct str args[] = {STR("PUBLISH"), STR("guesslyfe:control"), str_from(message)};
    assert_int_equal(redis_peer_send(&world.peer, args, ARRAY_LEN(args)), OK);
}

/* The payload of the next answer; borrowed until the one after it. */
static const char *answer_to(const char *verb, const char *arguments)
{
    char payload[1800];
    unsigned before = operator.pushes;
    snprintf(payload, sizeof payload, "{\"answer\":\"me\"%s}", arguments);
    ask(verb, payload);
    PUMP_UNTIL(world.peer.loop, operator.pushes> before);
    assert_int_equal(operator.pushes, before + 1);
    const char *beginning = "message guesslyfe:answer:me 0 0 answer -\n";
    assert_int_equal(strncmp(operator.push, beginning, strlen(beginning)), 0);
    return operator.push + strlen(beginning);
}

static void all_of_it_is_one_object(void **state)
{
    (void)state;
    assert_string_equal(answer_to("ping", ""), "{\"gateway\":\"gateway\"}");
    assert_string_equal(answer_to("ping", ",\"more\":[1,{}]"), "{\"gateway\":\"gateway\"}");
    assert_int_equal(world.app->control.asked, 2);
}

static void a_message_that_cannot_be_answered_is_dropped(void **state)
{
    (void)state;
    static const char *const payloads[] = {"",
                                           "{}",
                                           "[]",
                                           "{\"answer\":\"me\"",
                                           "{\"answer\":\"m e\"}",
                                           "{\"answer\":\"\"}",
                                           "{\"answer\":{}}",
                                           "{\"answer\":\"me\",\"a\":[[[[[]]]]]}"};
    for (size_t i = 0; i < ARRAY_LEN(payloads); i++) {
        ask("ping", payloads[i]);
    }
    PUMP_UNTIL(world.peer.loop, world.app->delivery.stats.dropped == ARRAY_LEN(payloads));
    answer_to("ping", "");
}

static void members_are_listed_up_to_the_limit(void **state)
{
    (void)state;
    const char *answer = answer_to("members", ",\"room\":\"user:" ADDRESS "\"");
    assert_non_null(strstr(answer,
                           ",\"count\":1,\"members\":[{\"user\":\"alice\",\"address\":\"" ADDRESS
                           "\",\"socket\":\""));
    answer = answer_to("members", ",\"room\":\"global:all\",\"limit\":0");
    assert_string_equal(answer, "{\"gateway\":\"gateway\",\"count\":2,\"members\":[]}");
    answer = answer_to("members", ",\"room\":\"market:none\"");
    assert_string_equal(answer, "{\"gateway\":\"gateway\",\"count\":0,\"members\":[]}");
}

static void a_user_is_disconnected_for_good(void **state)
{
    (void)state;
    assert_string_equal(answer_to("disconnect", ",\"user\":\"" ADDRESS "\""),
                        "{\"gateway\":\"gateway\",\"disconnected\":1}");
    person_hears(&alice, "41");
    assert_int_equal(world.app->stats.members, 1);
    assert_int_equal(world.app->stats.dismissed, 1);
    assert_string_equal(answer_to("disconnect", ",\"user\":\"alice\""),
                        "{\"gateway\":\"gateway\",\"disconnected\":0}");
    person_hears_nothing(&bob);
}

static void a_client_that_waits_to_be_let_in_is_found_too(void **state)
{
    (void)state;
    struct eio_session carol;
    assert_true(person_open(&world, &carol));
    world.app->revocations.known = false;
    person_connects(&carol, "carol", NULL);
    assert_string_equal(answer_to("user", ",\"user\":\"carol\""),
                        "{\"gateway\":\"gateway\",\"count\":0,\"connections\":[]}");
    assert_string_equal(answer_to("disconnect", ",\"user\":\"carol\""),
                        "{\"gateway\":\"gateway\",\"disconnected\":1}");
    person_hears_begin(&carol, "40{");
    person_hears(&carol, "41");
    world.app->revocations.known = true;
    person_leaves(&carol);
}

static void what_redis_holds_counts_not_the_message(void **state)
{
    (void)state;
    assert_string_equal(answer_to("revoked", ",\"user\":\"alice\",\"before\":null"),
                        "{\"gateway\":\"gateway\",\"disconnected\":0}");
    redis_peer_ask(&world.peer, "HSET guesslyfe:revoked alice -");
    assert_string_equal(answer_to("revoked", ",\"user\":\"bob\""),
                        "{\"gateway\":\"gateway\",\"disconnected\":0}");
    assert_string_equal(answer_to("revoked", ",\"user\":\"alice\""),
                        "{\"gateway\":\"gateway\",\"disconnected\":1}");
    person_hears(&alice, REVOKED);
    person_hears(&alice, "41");
    person_hears_nothing(&bob);
    redis_peer_ask(&world.peer, "HDEL guesslyfe:revoked alice");
    assert_string_equal(answer_to("unrevoked", ",\"user\":\"alice\""), "{\"gateway\":\"gateway\"}");
    assert_int_equal(app_revocations_count(&world.app->revocations), 0);
}

static void everybody_goes_where_no_user_is_named(void **state)
{
    (void)state;
    redis_peer_ask(&world.peer, "HSET guesslyfe:revoked * -");
    assert_string_equal(answer_to("revoked", ""), "{\"gateway\":\"gateway\",\"disconnected\":2}");
    person_hears(&alice, REVOKED);
    person_hears(&bob, REVOKED);
}

static void what_is_no_revocation_is_an_error(void **state)
{
    (void)state;
    redis_peer_ask(&world.peer, "HSET guesslyfe:revoked alice soon");
    assert_non_null(
        strstr(answer_to("revoked", ",\"user\":\"alice\""), "\"error\":\"what Redis holds"));
    redis_peer_ask(&world.peer, "DEL guesslyfe:revoked");
    redis_peer_ask(&world.peer, "SET guesslyfe:revoked text");
    assert_non_null(
        strstr(answer_to("unrevoked", ",\"user\":\"alice\""), "\"error\":\"Redis refuses"));
}

/* The verb's own listener, as many times as there are messages in one turn. */
static void hears(const char *verb, struct str payload)
{
    for (unsigned i = 0; i < APP_CONTROL_VERBS; i++) {
        struct bus_listener *listener = &world.app->control.ears[i].listener;
        if (str_eq(listener->event, str_from(verb))) {
            listener->on_message(listener->owner, payload);
        }
    }
}

static void too_many_questions_at_a_time_are_refused(void **state)
{
    (void)state;
    unsigned before = operator.pushes, most = APP_CONTROL_WAITING_MAX;
    for (unsigned i = 0; i < most + 6; i++) {
        hears("user", STR("{\"answer\":\"me\",\"user\":\"alice\"}"));
    }
    assert_int_equal(world.app->control.count, most);
    PUMP_UNTIL(world.peer.loop, operator.pushes == before + most + 6);
    assert_int_equal(world.app->control.count, 0);
}

static void questions_end_with_the_gateway(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        ask("revoked", "{\"answer\":\"me\",\"user\":\"alice\"}");
    }
    PUMP_UNTIL(world.peer.loop, world.app->control.count > 0);
}

/* Where the message is taken, not in what Redis and the test itself need: no question stays. */
static void asking_without_memory(void **state)
{
    struct str payload =
        STR("{\"answer\":\"me\",\"user\":\"nobody\",\"room\":\"global:all\",\"limit\":5}");
    (void)state;
    for (unsigned verb = 0; verb < APP_CONTROL_VERBS; verb++) {
        struct bus_listener *listener = &world.app->control.ears[verb].listener;
        for (long n = 0;; n++) {
            failing_alloc_at(n);
            listener->on_message(listener->owner, payload);
            bool hit = failing_alloc_hit();
            PUMP_UNTIL(world.peer.loop, world.app->control.count == 0);
            if (!hit) {
                break;
            }
        }
    }
    ask("members", "{\"answer\":\"me\",\"room\":\"market:last\"}");
    PUMP_UNTIL(world.peer.loop, strstr(operator.push, "\"count\":0,\"members\":[]"));
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(all_of_it_is_one_object),
        IN_WORLD(a_message_that_cannot_be_answered_is_dropped),
        IN_WORLD(members_are_listed_up_to_the_limit),
        IN_WORLD(a_user_is_disconnected_for_good),
        IN_WORLD(a_client_that_waits_to_be_let_in_is_found_too),
        IN_WORLD(what_redis_holds_counts_not_the_message),
        IN_WORLD(everybody_goes_where_no_user_is_named),
        IN_WORLD(what_is_no_revocation_is_an_error),
        IN_WORLD(too_many_questions_at_a_time_are_refused),
        IN_WORLD(questions_end_with_the_gateway),
        IN_WORLD(asking_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
