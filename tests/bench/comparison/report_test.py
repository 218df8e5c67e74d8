"""The report takes medians of the turns, tells better from worse, and judges targets by them."""

import contextlib
import io
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.dont_write_bytecode = True

from comparison import plan, report  # noqa: E402

ABOUT = {"about": {"date": "2026-01-01", "size": "full", "turns": 3, "kernel": "6", "cpu": None,
                   "redis": "Redis", "rust": None, "node": None, "bun": "1"}}


def line(server, key, turn=0, scenario="room", **facts):
    return {"server": server, "scenario": scenario, "turn": turn, "key": key, **facts}


def fanout(server, key, rate, cpu=1.0, scenario="room"):
    return [line(server, key, turn, scenario, per_second=rate + noise, server_cpu_us_each=cpu)
            for turn, noise in enumerate((-rate / 2, 0, rate * 5))]


def pair(own, floor):
    return fanout("gateway", "one", own, scenario="pairs") + \
        fanout("floor-1", "one", floor, scenario="pairs")


def written(results, absent=(), turns=3):
    """The files of a report by their names."""
    with tempfile.TemporaryDirectory() as directory, contextlib.redirect_stdout(io.StringIO()), \
            contextlib.redirect_stderr(io.StringIO()):
        about = {"about": {**ABOUT["about"], "turns": turns}}
        report.write(pathlib.Path(directory), about, results, dict(absent))
        return {path.name: path.read_text() for path in pathlib.Path(directory).iterdir()}


def row(text, title):
    return next(text_line for text_line in text.splitlines() if f"| {title}" in text_line)


class Report(unittest.TestCase):
    def test_a_value_is_the_median_of_the_turns(self):
        median = report.Medians(fanout("gateway", "one", 1000))
        self.assertEqual(median("gateway", "room", "one", lambda r: r["per_second"]), 1000)
        self.assertIsNone(median("bun", "room", "one", lambda r: r["per_second"]))

    def test_the_worst_turn_is_that_of_all_scenarios(self):
        median = report.Medians([line("gateway", "turn", scenario=name, longest_ms=ms)
                                 for name, ms in (("room", 3), ("storm", 9), ("many", 4))])
        self.assertEqual(median.worst("gateway", "turn", lambda r: r["longest_ms"]), 9)

    def test_more_a_second_and_less_cpu_are_better(self):
        results = fanout("gateway", "one", 1000, 2.0) + fanout("bun", "one", 500, 8.0)
        text = written(results)["full.md"]
        self.assertIn("500 (×2.00)", row(text, "fan-out, one at a time: deliveries"))
        self.assertIn("8.00 (×4.00)", row(text, "fan-out, one at a time: CPU"))

    def test_a_target_is_missed_by_a_hair(self):
        for own, verdict in ((950, "yes"), (949, "no")):
            text = written(pair(own, 1000))["full.md"]
            self.assertTrue(row(text, "fan-out one at a time, against").endswith(f"| {verdict} |"))

    def test_no_rounding_hides_on_which_side_of_a_limit_it_is(self):
        for own, shown in ((94960, "0.9496 | no"), (949960, "0.94996 | no")):
            text = written(pair(own, 10 ** len(str(own))))["full.md"]
            self.assertIn(f"| {shown} |", row(text, "fan-out one at a time, against"))

    def test_the_turns_are_told(self):
        for turns, words in ((1, "said, one turn."), (3, "said, medians of 3 turns.")):
            self.assertIn(words, written(fanout("gateway", "one", 1), turns=turns)["full.md"])

    def test_a_peer_that_does_not_get_through_is_named(self):
        results = fanout("gateway", "one", 1000) + [
            line("bun", "failed", complaint="load: fanout did not go well", lost=9)] * 2
        text = written(results)["full.md"]
        self.assertIn("| failed |", row(text, "fan-out, one at a time: deliveries"))
        words = "Bun (uWebSockets) did not get through `room`: load: fanout did not go well."
        self.assertEqual(text.count(words), 1)

    def test_an_upper_limit_is_judged_the_other_way(self):
        for own, verdict in ((1024, "yes"), (1025, "no")):
            results = [line("gateway", "idle", scenario="many", bytes_per_client=own)]
            text = written(results)["full.md"]
            self.assertTrue(row(text, "bytes an idle client").endswith(f"| {verdict} |"))

    def test_what_is_not_here_is_said_with_the_reason(self):
        text = written(fanout("gateway", "one", 1), {"bun": "no such package"})["full.md"]
        self.assertIn("Not here: Bun (uWebSockets), no such package.", text)

    def test_every_line_is_kept_and_plotted(self):
        results = fanout("gateway", "one", 1000) + fanout("bun", "one", 500)
        files = written(results)
        self.assertEqual(len(files["full.jsonl"].splitlines()), 1 + len(results))
        self.assertEqual(files["full.svg"].count("<title>2.00</title>"), 1)

    def test_tls_stands_beside_plain_tcp(self):
        results = fanout("gateway", "one", 1000, 2.0) + [
            line("gateway", "one", scenario="tls", per_second=400, server_cpu_us_each=5.0)]
        text = written(results)["full.md"]
        self.assertIn(
            "| fan-out, one at a time: deliveries a second | 1,000 | 400 | ×0.40 |", text)
        self.assertIn("| fan-out, one at a time: CPU µs a delivery | 2.00 | 5.00 | ×2.50 |", text)
        self.assertNotIn("plain TCP", written(fanout("gateway", "one", 1000))["full.md"])

    def test_a_curve_is_told_for_each_size(self):
        results = [line("gateway", key, scenario=scenario.name, server_cpu_us_each=scenario.at,
                        bytes_per_client=7) for scenario in plan.curves("full")["clients"]
                   for key in ("connect", "idle", "one")]
        files = written(results)
        self.assertIn("| 1,000.0 | 2,000.0 |", row(files["full.md"], "CPU µs a handshake"))
        self.assertEqual(files["full-curves.svg"].count("<polyline"), 3)


if __name__ == "__main__":
    unittest.main()
