#!/usr/bin/env python3
"""The checks themselves: each finds what it is there for."""
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))

import check_functions
import check_headers
import check_layers


class Checks(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = pathlib.Path(scratch.name)

    def put(self, path, text):
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def layers(self, path, include):
        self.put(path, f"#include {include}\n")
        return check_layers.check(self.root)

    def test_an_include_to_the_left_is_fine(self):
        self.assertEqual(self.layers("gateway/http/a.c", '"net/conn.h"'), [])
        self.assertEqual(self.layers("gateway/http/b.c", '"http/a.h"'), [])
        self.assertEqual(self.layers("gateway/main.c", '"ops/a.h"'), [])
        self.assertEqual(self.layers("common/bus/a.c", '"stream/stream.h"'), [])
        self.assertEqual(self.layers("publisher/a.c", '"bus/publish.h"'), [])
        self.assertEqual(self.layers("tests/conformance/a.c", '"socketio/server.h"'), [])

    def test_an_include_to_the_right_is_not(self):
        self.assertTrue(self.layers("gateway/net/a.c", '"http/server.h"'))

    def test_common_does_not_know_the_gateway(self):
        self.assertTrue(self.layers("common/bus/a.h", '"net/conn.h"'))

    def test_the_publisher_does_not_know_the_gateway(self):
        self.assertTrue(self.layers("publisher/cli/a.c", '"net/conn.h"'))

    def test_nobody_knows_the_command(self):
        self.assertEqual(self.layers("publisher/cli/a.c", '"publisher/cli/command.h"'), [])
        self.assertTrue(self.layers("publisher/a.c", '"publisher/cli/command.h"'))

    def test_only_the_publisher_knows_the_publisher(self):
        self.assertTrue(self.layers("gateway/app/a.c", '"publisher/handle.h"'))

    def test_the_conformance_server_does_without_the_application(self):
        self.assertTrue(self.layers("tests/conformance/a.c", '"app/member.h"'))

    def test_an_include_names_its_folder(self):
        self.assertTrue(self.layers("gateway/net/a.c", '"conn.h"'))

    def test_our_headers_are_quoted(self):
        self.assertTrue(self.layers("gateway/net/a.c", "<util/err.h>"))

    def test_a_library_has_its_rooms(self):
        self.assertEqual(self.layers("gateway/app/a.c", "<jwt.h>"), [])
        self.assertTrue(self.layers("gateway/ops/a.c", "<jwt.h>"))

    def test_tests_may_use_what_supports_them(self):
        self.put("tests/support/failing_alloc.h", "")
        self.assertEqual(self.layers("common/util/a_test.c", '"failing_alloc.h"'), [])
        self.assertTrue(self.layers("common/util/a.c", '"failing_alloc.h"'))

    def test_long_functions_are_found(self):
        body = "    x();\n"
        short = "int f(void)\n{\n" + body * 3 + "}\n"
        self.put("common/a.c", short * 30)
        self.assertEqual(check_functions.check(self.root), ([], [], 30))
        self.put("common/b.c", "static int\nlong_one(int a)\n{\n" + body * 50 + "}\n")
        complaints, warnings, _ = check_functions.check(self.root)
        self.assertEqual((complaints, len(warnings)), ([], 1))
        self.assertIn("long_one has 52 lines", warnings[0])
        self.put("common/b.c", "int f(void)\n{\n" + body * 99 + "}\n")
        self.assertEqual(len(check_functions.check(self.root)[0]), 1)

    def test_many_long_functions_are_a_complaint(self):
        self.put("common/a.c", "int f(void)\n{\n" + "    x();\n" * 50 + "}\n")
        self.assertTrue(check_functions.check(self.root)[0])

    def test_a_header_that_leans_on_others_is_found(self):
        compiler = sys.argv[2:] or ["cc"]
        self.put("common/util/a.h", "#ifndef A\n#define A\n#include <stddef.h>\nsize_t a(void);\n#endif\n")
        self.assertEqual(check_headers.check(self.root, self.root, compiler), ([], 1))
        self.put("common/util/b.h", "size_t b(void);\n")
        self.assertEqual(len(check_headers.check(self.root, self.root, compiler)[0]), 1)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
