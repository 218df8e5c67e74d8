"""The limits of a machine are told with what to raise, and no promise is broken unnoticed."""

import copy
import dataclasses
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.dont_write_bytecode = True

from fleet import limits, promises, report, stages  # noqa: E402

CLIENTS, MEMBERS = 1000000, 100000
LARGE = limits.System(files_of_a_process=20000, files=2400000, watches=5000000, ports=28000,
                      tcp_pages=2000000, tcp_buckets=None, backlog=None, tracked=None,
                      tracked_most=0, memory=23 << 30)
HEALTH = {"asked": 60, "least_asked": 1, "failed": 0, "late": 0, "p99_us": 900, "max_us": 100000,
          "slowest": "127.2.0.1:9090", "own_late_us": 10}
HEARD = {"heard": CLIENTS, "again": 0, "broken": 0, "seconds": 9.0, "per_second": 111111}
TRADED = {"members": MEMBERS, "out_of_turn": 0, "astray": 0, "broken": 0, "seconds": 9.0,
          "per_second": 99}
FACTS = {
    "started": {"gateways": 60, "seconds": 1.0},
    "connected": {"clients": CLIENTS, "seconds": 100.0, "per_second": 10000},
    "idle": {"seconds": 30, "memory": {
        "machine": 14 << 30, "gateways": 1 << 30, "generators": 1 << 28, "redis": 1 << 30,
        "redis_used": 1 << 29, "kernel": 11 << 30, "caches": {"TCP": 5 << 30}},
        "cpu": {"gateways": 0.5, "generators": 0.4, "redis": 0.2, "health": 0.01, "idle": 0.9}},
    "announced": HEARD,
    "joined": {"members": MEMBERS, "seconds": 3.0, "per_second": 33333},
    "traded": {**TRADED, "trades": 10, "delivered": 10 * MEMBERS, "each": [0.9] * 10},
    "moved": {"gateways": 30, "ended": 30, "clients": 500000, "moved": 500000, "back": 500000,
              "recovered": 500000, "failed": 0, "drain_seconds": 100.0, "seconds": 101.0,
              "per_second": 4950},
    "announced again": HEARD,
    "traded again": {**TRADED, "trades": 1, "delivered": MEMBERS, "each": [0.9]},
}


def result():
    return {stage: {**copy.deepcopy(facts), "health": dict(HEALTH), "tcp": {"pages": 5},
                    "waited": {"mean_ms": 4.0, "most_ms": 9.0}}
            for stage, facts in FACTS.items()}


def broken(outcome):
    return list(promises.broken(outcome, CLIENTS, MEMBERS))


class Limits(unittest.TestCase):
    def obstacles(self, **changes):
        system = dataclasses.replace(LARGE, **changes)
        return "\n".join(limits.obstacles(CLIENTS, 60, system))

    def test_a_million_fits(self):
        self.assertEqual(limits.gateways_for(CLIENTS, LARGE), 60)
        self.assertEqual(self.obstacles(), "")
        self.assertEqual(list(limits.doubts(CLIENTS, LARGE)), [])

    def test_few_files_make_more_gateways(self):
        small = dataclasses.replace(LARGE, files_of_a_process=1024)
        self.assertEqual(limits.gateways_for(20000, small), 40)
        self.assertEqual(limits.gateways_for(10, small), 4)

    def test_each_shortage_is_told_with_what_to_raise(self):
        for change, words in (({"files_of_a_process": 17000}, "ulimit -Hn 17167"),
                              ({"files": 2000000}, "fs.file-max=4018000"),
                              ({"watches": 1999999}, "fs.epoll.max_user_watches=4000000"),
                              ({"ports": 83}, "ip_local_port_range"),
                              ({"memory": 13 << 30}, "fewer --clients")):
            self.assertIn(words, self.obstacles(**change))
            self.assertEqual(len(self.obstacles(**change).splitlines()), 1)

    def test_what_may_be_slow_is_told(self):
        few = dataclasses.replace(LARGE, tcp_pages=575802, tcp_buckets=262144, backlog=1000,
                                  tracked=5, tracked_most=262144)
        doubts = "\n".join(limits.doubts(CLIENTS, few))
        self.assertIn("net.ipv4.tcp_mem", doubts)
        self.assertIn("nf_conntrack_max=2000000", doubts)
        self.assertIn("tcp_child_ehash_entries=2000000", doubts)
        self.assertIn("netdev_max_backlog=100000", doubts)


class Promises(unittest.TestCase):
    def test_nothing_is_broken_where_all_is_right(self):
        self.assertEqual(broken(result()), [])

    def test_every_stage_has_to_be(self):
        for stage in FACTS:
            outcome = result()
            del outcome[stage]
            self.assertEqual(broken(outcome), [f"it did not come to '{stage}'"])

    def test_every_figure_counts(self):
        for stage, name, value in (
                ("connected", "clients", CLIENTS - 1), ("announced", "heard", CLIENTS - 1),
                ("announced again", "again", 1), ("announced", "broken", 1),
                ("joined", "members", MEMBERS - 1), ("traded", "delivered", 10 * MEMBERS - 1),
                ("traded", "out_of_turn", 1), ("traded again", "astray", 1),
                ("traded", "broken", 1), ("moved", "recovered", 499999),
                ("moved", "moved", 500001), ("moved", "ended", 29)):
            outcome = result()
            outcome[stage][name] = value
            self.assertEqual(len(broken(outcome)), 1, f"{stage}: {name}")

    def test_health_counts_in_every_stage(self):
        for stage in FACTS:
            for name, value in (("max_us", 100001), ("failed", 1), ("least_asked", 0)):
                outcome = result()
                outcome[stage]["health"][name] = value
                self.assertEqual(len(broken(outcome)), 1, f"{stage}: {name}")


class Report(unittest.TestCase):
    def outcome(self):
        outcome = result()
        return {"about": {"cpu": "CPU", "cores": 2, "memory": 24 << 30, "kernel": "6"},
                "clients": CLIENTS, "members": MEMBERS, "gateways": 60,
                "stages": outcome, "broken": broken(outcome)}

    def test_every_stage_has_a_row_and_a_proof(self):
        text = report.markdown(self.outcome())
        for stage in FACTS:
            self.assertIn(f"| {stage} | ", text)
            self.assertIn(f"- **{stage}**: ", text)
        self.assertIn("`TCP` 5,369", text)
        self.assertNotIn("Not as promised", text)

    def test_what_is_broken_is_in_it(self):
        outcome = self.outcome()
        outcome["broken"] = ["moved: they are not back"]
        self.assertIn("- moved: they are not back", report.markdown(outcome))

    def test_the_parts_of_the_memory_add_up(self):
        *parts, (_, whole) = report.memory_rows(self.outcome())
        self.assertEqual(sum(size for _, size in parts), whole)


class Stages(unittest.TestCase):
    def test_parts_are_even_and_complete(self):
        self.assertEqual(stages.parts(10, 4), [3, 3, 2, 2])
        self.assertEqual(sum(stages.parts(CLIENTS, 60)), CLIENTS)


if __name__ == "__main__":
    unittest.main()
