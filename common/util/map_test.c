#include "util/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "util/attr.h"

struct entry {
    struct map_node node;
    char key[12];
};

static struct str key_of(const struct map_node *node)
{
    const struct entry *entry = container_of(node, struct entry, node);
    return str_from(entry->key);
}

enum { MANY = 3000 };
static struct entry entries[MANY];

static void fill(struct map *map)
{
    map_init(map, key_of);
    for (int i = 0; i < MANY; i++) {
        snprintf(entries[i].key, sizeof entries[i].key, "key%d", i);
        assert_int_equal(map_insert(map, &entries[i].node), OK);
    }
}

static void finds_what_was_inserted(void **state)
{
    (void)state;
    struct map map;
    fill(&map);
    assert_int_equal(map.count, MANY);
    assert_ptr_equal(map_find(&map, STR("key1234")), &entries[1234].node);
    assert_null(map_find(&map, STR("key3000")));
    map_remove(&map, &entries[1234].node);
    assert_null(map_find(&map, STR("key1234")));
    assert_int_equal(map.count, MANY - 1);
    map_fini(&map);
}

static void walks_every_entry_once(void **state)
{
    (void)state;
    struct map map;
    unsigned char seen[MANY] = {0};
    fill(&map);
    for (struct map_node *node = NULL; (node = map_next(&map, node));) {
        seen[container_of(node, struct entry, node) - entries]++;
    }
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(seen[i], 1);
    }
    map_fini(&map);
}

static void an_empty_map_finds_nothing(void **state)
{
    (void)state;
    struct map map;
    map_init(&map, key_of);
    assert_null(map_find(&map, STR("x")));
    assert_null(map_next(&map, NULL));
    map_fini(&map);
}

static void grows_with_chains_when_memory_fails(void **state)
{
    (void)state;
    struct map map;
    map_init(&map, key_of);
    failing_alloc_at(0);
    assert_int_equal(map_insert(&map, &entries[0].node), ERR_NOMEM);
    assert_true(failing_alloc_hit());
    for (int i = 0; i < 17; i++) {
        failing_alloc_at(i == 0 ? -1 : 0);
        assert_int_equal(map_insert(&map, &entries[i].node), OK);
    }
    failing_alloc_at(-1);
    assert_ptr_equal(map_find(&map, str_from(entries[16].key)), &entries[16].node);
    map_fini(&map);
}

static void hashes_differ_by_every_byte(void **state)
{
    (void)state;
    char text[20] = "abcdefghijklmnopqrs";
    uint64_t before = map_hash(str_range(text, 19));
    for (size_t i = 0; i < 19; i++) {
        text[i] ^= 1;
        assert_true(map_hash(str_range(text, 19)) != before);
        text[i] ^= 1;
    }
    assert_true(map_hash(str_range(text, 19)) == before);
    assert_true(map_hash(str_range(text, 18)) != before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_inserted),
        cmocka_unit_test(walks_every_entry_once),
        cmocka_unit_test(an_empty_map_finds_nothing),
        cmocka_unit_test(grows_with_chains_when_memory_fails),
        cmocka_unit_test(hashes_differ_by_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
