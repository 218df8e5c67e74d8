"""The figures of a fleet's run: lines while it goes, and a page of Markdown at the end."""

import datetime

from fleet import promises

MIB = 1 << 20

# What was proven, where it was.
PROOFS = {
    "started": "{gateways} gateways, each on an address of its own, were ready.",
    "connected": "{clients:,} clients opened a WebSocket each, showed a signed token of their own "
                 "user, and were put into that user's room, with a session for recovery.",
    "idle": "The clients rested: nothing but heartbeats and what renews their sessions.",
    "announced": "One announcement by the command reached all {heard:,} clients, {again:,} of them "
                 "twice.",
    "joined": "{members:,} clients, as many of each gateway, subscribed to one market.",
    "traded": "{trades} trades in that market, the next when all had the last, came to each of "
              "the {members:,} in order, {out_of_turn:,} of them twice, and {astray:,} to anybody "
              "else.",
    "moved": "{gateways} gateways were replaced: the new ones were ready, the old ones got "
             "SIGTERM, sent their clients away over {drain_seconds:,.0f} s and ended; "
             "{recovered:,} of {clients:,} clients recovered at the new ones.",
    "announced again": "A second announcement reached all {heard:,} clients, {again:,} of them "
                       "twice.",
    "traded again": "One more trade came to each of the {members:,}, those that moved among them, "
                    "and {astray:,} to anybody else.",
}
COUNTED = {"connected": "clients", "announced": "heard", "joined": "members",
           "traded": "delivered", "moved": "back", "announced again": "heard",
           "traded again": "delivered"}


def _cells(stage, facts):
    health = facts["health"]
    count = facts[COUNTED[stage]] if stage in COUNTED else None
    return [stage, f"{facts['seconds']:,.2f}", "" if count is None else f"{count:,}",
            f"{facts['per_second']:,}" if "per_second" in facts else "", f"{health['asked']:,}",
            f"{health['p99_us'] / 1000:,.1f}", f"{health['max_us'] / 1000:,.1f}"]


COLUMNS = ["stage", "seconds", "clients or deliveries", "a second", "health: asked", "p99 ms",
           "slowest ms"]
WIDTHS = [16, 10, 23, 10, 15, 9, 12]


def _line(cells):
    return cells[0].ljust(WIDTHS[0]) + "".join(
        cell.rjust(width) for cell, width in zip(cells[1:], WIDTHS[1:]))


def heading(clients, gateways):
    return f"{clients:,} clients on {gateways} gateways\n" + _line(COLUMNS)


def tell(stage, facts):
    print(_line(_cells(stage, facts)), flush=True)
    trouble = {name: count for name, count in facts["tcp"].items() if name != "pages"}
    if trouble:
        print("  TCP: " + ", ".join(f"{name} {count:,}" for name, count in trouble.items()))


def memory_rows(outcome):
    """(what, bytes)"""
    memory = outcome["stages"]["idle"]["memory"]
    named = [("gateways, private", memory["gateways"]),
             ("load generators, private", memory["generators"]),
             ("Redis, resident", memory["redis"]),
             ("kernel: slab, page tables, tables of files", memory["kernel"])]
    rest_of_it = memory["machine"] - sum(size for _, size in named)
    return [*named, ("everything else", rest_of_it), ("the machine", memory["machine"])]


def _kernel_sentence(outcome):
    caches = outcome["stages"]["idle"]["memory"]["caches"]
    if not caches:
        return "What the kernel's memory was for only root may see."
    return "Of the kernel's, bytes a client by cache: " + ", ".join(
        f"`{name}` {size / outcome['clients']:,.0f}" for name, size in caches.items()) + "."


def _cpu(outcome):
    cpu = outcome["stages"]["idle"]["cpu"]
    return (f"gateways {cpu['gateways']:.1%}, load generators {cpu['generators']:.1%}, Redis "
            f"{cpu['redis']:.1%}, the questions about health {cpu['health']:.1%}; "
            f"{cpu['idle']:.1%} were left of {100 * outcome['about']['cores']}%")


def rest(outcome):
    """What was used at rest, for people."""
    yield "memory that came with the clients (MiB; bytes a client)"
    for what, size in memory_rows(outcome):
        yield f"  {what.ljust(44)}{size / MIB:>10,.0f}{size / outcome['clients']:>10,.0f}"
    yield f"  {_kernel_sentence(outcome)}"
    yield f"processor time at rest, of one core: {_cpu(outcome)}"
    if "announced" in outcome["stages"]:
        yield _waiting(outcome["stages"])


def _trades(facts):
    each = sorted(facts["each"])
    return (f"The trades took {each[0] * 1000:,.0f} to {each[-1] * 1000:,.0f} ms each, the median "
            f"{each[len(each) // 2] * 1000:,.0f} ms.")


def _waiting(stages):
    """A gateway cannot answer while all cores are taken."""
    words = [f"{facts['waited']['mean_ms']:,.0f} ms on average and "
             f"{facts['waited']['most_ms']:,.0f} ms at most ({stage})"
             for stage, facts in stages.items() if "heard" in facts]
    return ("While an announcement went out, a gateway waited for a core, all told, "
            + ", ".join(words) + ".")


def _trouble(stages):
    words = [f"{stage}: " + ", ".join(f"{name} {count:,}" for name, count in facts["tcp"].items()
                                      if name != "pages")
             for stage, facts in stages.items() if len(facts["tcp"]) > 1]
    pages = max(facts["tcp"]["pages"] for facts in stages.values())
    return (f"Data in TCP sockets took up to {pages:,} pages, as far as was seen. " +
            ("The kernel counted " + "; ".join(words) + "." if words
             else "The kernel had no trouble with them."))


def markdown(outcome):
    about, stages = outcome["about"], outcome["stages"]
    lines = [
        f"# {outcome['clients']:,} clients on one machine", "",
        f"Written by `tests/bench/million` on {datetime.date.today().isoformat()}; what is "
        "measured and how: [README.md](README.md#a-fleet).", "",
        f"{about['cpu']}, {about['cores']} cores, {about['memory'] / (1 << 30):.1f} GiB, Linux "
        f"{about['kernel']}; {outcome['gateways']} gateways and as many load generators, one "
        "Redis, all on these cores.", "",
        "| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|",
        *("| " + " | ".join(_cells(stage, facts)) + " |" for stage, facts in stages.items()), "",
        *([_trades(stages["traded"]), ""] if "traded" in stages else []),
        *([_waiting(stages), ""] if "announced" in stages else []),
        "## What was proven", "",
        *(f"- **{stage}**: {PROOFS[stage].format(**facts)}" for stage, facts in stages.items()), "",
        *_verdict(outcome), "",
        "## Memory", "", "Growth from before the first process to the clients at rest:", "",
        "| | MiB | bytes a client |", "|---|---|---|",
        *(f"| {what} | {size / MIB:,.0f} | {size / outcome['clients']:,.0f} |"
          for what, size in memory_rows(outcome)), "",
        f"Redis itself counts {stages['idle']['memory']['redis_used'] / MIB:,.0f} MiB as used. "
        + _kernel_sentence(outcome), "",
        "## Processor time at rest", "", f"Of one core: {_cpu(outcome)}.", "",
        "## TCP", "", _trouble(stages), ""]
    return "\n".join(lines)


def _verdict(outcome):
    if not outcome["broken"]:
        late = max(facts["health"]["own_late_us"] for facts in outcome["stages"].values()) / 1000
        return [f"Every gateway answered each question about its health within "
                f"{promises.HEALTH_LIMIT_MS} ms. Whoever asked was {late:,.1f} ms late itself at "
                "most."]
    return ["Not as promised:", "", *(f"- {words}" for words in outcome["broken"])]
