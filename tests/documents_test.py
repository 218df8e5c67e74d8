#!/usr/bin/env python3
"""What comes with the programs says what the programs do: man pages, --help, bash completion.

usage: documents_test.py GATEWAY PUBLISH GATEWAY-MAN PUBLISH-MAN
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

GATEWAY, PUBLISH, GATEWAY_MAN, PUBLISH_MAN = (pathlib.Path(path).resolve() for path in sys.argv[1:5])
ROOT = pathlib.Path(__file__).resolve().parent.parent
OWN_FLAGS = {"--help", "--version", "--check-config"}
COMPLETE = """
source "$1"; program=$2; shift 2
COMP_WORDS=("$program" "$@"); COMP_CWORD=$#
"_$(basename "$program" | tr - _)" "$program"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def run(*command, **settings):
    environment = {name: os.environ[name] for name in ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS") if name in os.environ}
    environment |= settings
    return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          encoding="utf-8", timeout=30)


def settings_of(program):
    """The names of all settings, asked of --check-config and so of the loaded table."""
    secrets = {"JWT_SECRET": "x" * 32, "REDIS_PASSWORD": "x", "REDIS_SENTINEL_PASSWORD": "x"}
    done = run(program, "--check-config", **secrets, REDIS_SENTINELS="x", REDIS_SENTINEL_MASTER="x")
    assert done.returncode == 0, done.stderr
    values = dict(line.split("=", 1) for line in done.stdout.splitlines() if not line.startswith("#"))
    return [*values, *(name + "_FILE" for name, value in values.items() if value == "***")]


def flags_of(program):
    return {"--" + name.lower().replace("_", "-") for name in settings_of(program)}


def complete(program, *words):
    script = {GATEWAY: "gateway/guesslyfe-gateway.bash", PUBLISH: "publisher/cli/guesslyfe-publish.bash"}[program]
    done = run("bash", "-c", COMPLETE, "bash", ROOT / script, program, *words)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return set(done.stdout.split())


def verbs():
    return re.findall(r"(?m)^  guesslyfe-publish ([a-z]+)(?: |$)", run(PUBLISH, "--help").stdout)


def flags_of_verb(verb):
    return set(re.findall(r"(?m)^  (--[a-z-]+)", run(PUBLISH, verb, "--help").stdout))


class Help(unittest.TestCase):
    def test_has_every_setting_in_80_columns(self):
        for program in (GATEWAY, PUBLISH):
            text = run(program, "--help").stdout
            self.assertEqual(text, run(program, "-h").stdout)
            for name in settings_of(program):
                self.assertIn(f"[{name}", text)
                self.assertRegex(text, rf"(?m)^  --{name.lower().replace('_', '-')}\b")
            options = text.partition("\n\n")[2]
            self.assertEqual([line for line in options.splitlines() if len(line) > 80], [])


    def test_every_verb_has_its_own_in_80_columns(self):
        self.assertGreater(len(verbs()), 10)
        for verb in verbs():
            done = run(PUBLISH, verb, "--help")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertTrue(done.stdout.startswith(f"Usage: guesslyfe-publish {verb} [OPTION…]"))
            self.assertEqual([line for line in done.stdout.splitlines() if len(line) > 80], [])


class ManPages(unittest.TestCase):
    def flags_in(self, page):
        return {flag.replace("\\-", "-") for flag in re.findall(r"^\.B[IR]? (\\-\\-[a-z\\-]+)", page, re.M)}

    def test_describe_all_flags_and_no_others(self):
        page = GATEWAY_MAN.read_text(encoding="utf-8")
        self.assertEqual(self.flags_in(page), flags_of(GATEWAY) | OWN_FLAGS)

    def test_describe_all_settings_of_the_publisher(self):
        described = self.flags_in(PUBLISH_MAN.read_text(encoding="utf-8"))
        self.assertEqual(flags_of(PUBLISH) - described, set())
        self.assertLessEqual(set().union(*map(flags_of_verb, verbs())), described)
        text = "".join(run(PUBLISH, *verb, "--help").stdout for verb in ([], *([verb] for verb in verbs())))
        self.assertEqual({flag for flag in described if not re.search(rf"(?m)^  {flag}\b", text)}, set())

    def test_have_the_usual_sections(self):
        wanted = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "ENVIRONMENT", "SIGNALS", "EXIT STATUS", "FILES", "EXAMPLES",
                  "SEE ALSO"]
        self.assertEqual(re.findall(r"^\.SH (.*)", GATEWAY_MAN.read_text(encoding="utf-8"), re.M), wanted)

    @unittest.skipUnless(shutil.which("groff"), "needs groff")
    def test_are_well_formed(self):
        for page in (GATEWAY_MAN, PUBLISH_MAN, ROOT / "publisher/guesslyfe-publisher.3"):
            self.assertEqual(run("groff", "-man", "-ww", "-z", "-Kutf8", "-Tutf8", page).stderr, "", page)


class Completion(unittest.TestCase):
    def test_offers_all_flags(self):
        self.assertEqual(complete(GATEWAY, "--"), flags_of(GATEWAY) | OWN_FLAGS)
        self.assertLessEqual(flags_of(PUBLISH) | OWN_FLAGS, complete(PUBLISH, "--"))

    def test_offers_verbs_and_their_flags(self):
        self.assertLessEqual(set(verbs()), complete(PUBLISH, ""))
        for verb in verbs():
            self.assertLessEqual(flags_of_verb(verb) | {"--json"}, complete(PUBLISH, verb, "--"))
        self.assertEqual(complete(PUBLISH, "describe", "market:res"), {"market:resolved"})

    def test_offers_what_begins_like_the_word(self):
        self.assertEqual(complete(GATEWAY, "--port", "1", "--ping"), {"--ping-interval", "--ping-timeout"})

    def test_offers_choices(self):
        levels = {"error", "warn", "info", "debug"}
        self.assertEqual(complete(GATEWAY, "--log-level", ""), levels)
        self.assertEqual(complete(GATEWAY, "--log-level", "="), levels)
        self.assertEqual(complete(GATEWAY, "--log-level", "=", "w"), {"warn"})
        self.assertEqual(complete(GATEWAY, "--workers", ""), {"auto"})

    def test_offers_files_where_one_is_expected(self):
        self.assertEqual(complete(GATEWAY, "--jwt-secret-file", str(ROOT / "READ")), {str(ROOT / "README.md")})

    def test_offers_nothing_where_it_cannot_know(self):
        self.assertEqual(complete(GATEWAY, "--port", ""), set())

    def test_a_flag_without_value_wants_none(self):
        self.assertIn("--port", complete(GATEWAY, "--development", "--po"))


class Flags(unittest.TestCase):
    def test_a_mistyped_one_is_answered_by_the_nearest(self):
        for typed, meant in {"--jwt-secert": "--jwt-secret", "--check-confg": "--check-config", "--hlep": "--help"}.items():
            done = run(GATEWAY, typed)
            self.assertEqual(done.returncode, 2)
            self.assertEqual(done.stderr, f"guesslyfe-gateway: unknown flag {typed}; did you mean {meant}?\n")

    def test_the_publisher_does_the_same_where_it_can_be_no_field(self):
        self.assertIn("; did you mean --help?\n", run(PUBLISH, "--hlep").stderr)
        words = run(PUBLISH, "--redis-hst", "x", "events").stderr
        self.assertIn(": unknown option --redis-hst; did you mean --redis-host?\n", words)

    def test_a_secret_may_be_in_a_file(self):
        done = run(GATEWAY, "--check-config", JWT_SECRET_FILE=__file__)
        self.assertEqual(done.returncode, 2, "its first line is too short")
        self.assertIn("JWT_SECRET", done.stderr)
        done = run(GATEWAY, "--check-config", "--development", JWT_SECRET_FILE=__file__)
        self.assertIn("\nJWT_SECRET=***\n", done.stdout)
        done = run(GATEWAY, "--check-config", JWT_SECRET_FILE="/nonexistent")
        self.assertEqual(done.returncode, 2)
        self.assertIn("JWT_SECRET_FILE (from the environment): cannot read \"/nonexistent\"", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
