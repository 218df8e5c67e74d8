#include "engineio/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* In memory of its size, so that a byte too many is noticed. */
static void packs_into(const char *text, size_t size, const char *expected)
{
    unsigned char packed[EIO_PEER_MAX];
    char out[NET_PEER_MAX];
    assert_int_equal(eio_peer_pack(text, packed), size);
    unsigned char *kept = malloc(size);
    assert_non_null(kept);
    memcpy(kept, packed, size);
    eio_peer_print(kept, out);
    free(kept);
    assert_string_equal(out, expected);
}

static void addresses_come_back_as_they_were(void **state)
{
    (void)state;
    static const char *const v4[] = {"203.0.113.7:52100", "255.255.255.255:65535", "0.0.0.0:0"};
    static const char *const v6[] = {"[2001:db8::1]:52100", "[::1]:1",
                                     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:65535"};
    for (size_t i = 0; i < 3; i++) {
        packs_into(v4[i], 7, v4[i]);
        packs_into(v6[i], 19, v6[i]);
    }
}

static void what_is_no_address_is_unknown(void **state)
{
    (void)state;
    static const char *const texts[] = {"unknown",
                                        "",
                                        ":",
                                        "[",
                                        "[:1",
                                        "203.0.113.7",
                                        "203.0.113.7:65536",
                                        "203.0.113.7:x",
                                        "2001:db8::1:52100",
                                        "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:1"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        packs_into(texts[i], 1, "unknown");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_come_back_as_they_were),
        cmocka_unit_test(what_is_no_address_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
