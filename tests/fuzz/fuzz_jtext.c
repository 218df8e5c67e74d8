/* JSON from strangers: checked, walked all through, every string unescaped, quoted and read again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util/jtext.h"

enum { DEPTH = 24 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void visit_string(struct str string)
{
    struct buf plain = {0}, quoted = {0}, again = {0};
    if (jtext_unescape(string, &plain) == OK) {
        struct str between = str_range(string.ptr + 1, string.len - 2);
        if (!jtext_is(between, buf_str(&plain)) || jtext_quote(buf_str(&plain), &quoted) ||
            jtext_check(buf_str(&quoted), 0) || jtext_unescape(buf_str(&quoted), &again) ||
            !str_eq(buf_str(&plain), buf_str(&again))) {
            abort();
        }
    }
    buf_fini(&plain);
    buf_fini(&quoted);
    buf_fini(&again);
}

static void visit(struct str value, unsigned depth)
{
    enum jtext_kind kind = jtext_kind(value);
    if (kind == JTEXT_STRING) {
        visit_string(value);
    }
    if (kind != JTEXT_OBJECT && kind != JTEXT_ARRAY) {
        return;
    }
    if (depth == 0) {
        abort();
    }
    struct jtext_walk walk;
    struct str key, element;
    jtext_walk(&walk, value);
    while (jtext_next(&walk, &key, &element)) {
        if (jtext_check(element, depth - 1)) {
            abort();
        }
        visit(element, depth - 1);
    }
    if (kind == JTEXT_OBJECT) {
        (void)jtext_member(value, STR("a"));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_range((const char *)data, size);
    if (jtext_check(text, DEPTH) == OK) {
        visit(jtext_trim(text), DEPTH);
    }
    return 0;
}
