"""What each stage of a fleet's run has to prove, and whether it did."""

HEALTH_LIMIT_MS = 100


def health_ms(facts):
    return facts["health"]["max_us"] / 1000


def _health(stage, facts):
    health = facts["health"]
    if health["failed"] or health_ms(facts) > HEALTH_LIMIT_MS:
        yield (f"{stage}: the slowest answer about health took {health_ms(facts):,.1f} ms "
               f"({health['slowest']}), {health['late']:,} of {health['asked']:,} were late, "
               f"{health['failed']:,} failed")
    if health["least_asked"] == 0 and facts["seconds"] >= 1:
        yield f"{stage}: not every gateway was asked about its health"


def _connected(facts, clients, _):
    if facts["clients"] != clients:
        yield f"{facts['clients']:,} of {clients:,} connected"


def _announced(facts, clients, _):
    if facts["heard"] != clients or facts["again"] or facts["broken"]:
        yield (f"{facts['heard']:,} of {clients:,} heard it, {facts['again']:,} again, "
               f"{facts['broken']:,} were lost")


def _joined(facts, _, members):
    if facts["members"] != members:
        yield f"{facts['members']:,} of {members:,} are in the market"


def _traded(facts, _, members):
    expected = facts["trades"] * members
    if facts["delivered"] != expected:
        yield f"{facts['delivered']:,} of {expected:,} deliveries"
    if facts["out_of_turn"] or facts["astray"] or facts["broken"]:
        yield (f"{facts['out_of_turn']:,} deliveries again or out of turn, {facts['astray']:,} to "
               f"others, {facts['broken']:,} clients were lost")


def _moved(facts, _, __):
    if not facts["moved"] == facts["back"] == facts["recovered"] == facts["clients"]:
        yield (f"of {facts['clients']:,} clients {facts['moved']:,} moved, {facts['back']:,} are "
               f"back, {facts['recovered']:,} recovered")
    if facts["ended"] != facts["gateways"]:
        yield f"{facts['ended']} of {facts['gateways']} gateways ended well"


STAGES = {
    "started": lambda *_: (),
    "connected": _connected,
    "idle": lambda *_: (),
    "announced": _announced,
    "joined": _joined,
    "traded": _traded,
    "moved": _moved,
    "announced again": _announced,
    "traded again": _traded,
}


def broken(result, clients, members):
    """In words; nothing where all was as promised."""
    for stage, judge in STAGES.items():
        if stage not in result:
            yield f"it did not come to '{stage}'"
            return
        for words in judge(result[stage], clients, members):
            yield f"{stage}: {words}"
        yield from _health(stage, result[stage])
