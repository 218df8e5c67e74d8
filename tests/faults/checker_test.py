"""The checker tells a good journal from one with a hole, a repetition or a disorder; and is not content with nothing."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from faults.checker import Event, Evidence, Loss, Member, check  # noqa: E402
from faults.journal import happening  # noqa: E402

MS = 1000
BEGIN = 1_700_000_000_000  # milliseconds
MARKET, OWN, OTHER = ("market:1",), ("global:all",), ("market:2",)


def at(ms: int) -> int:
    """The id of an event that is published then."""
    return (BEGIN + ms) * MS


def event(ms: int, rooms=MARKET) -> Event:
    return Event(f"k{ms}", at(ms), rooms)


def got(ms: int, when: int | None = None):
    return happening(BEGIN + (when or ms + 1), "event", str(at(ms)), "market:trade", f"k{ms}")


def connect(ms: int, recovered=False, pid="p"):
    return happening(BEGIN + ms, "connect", recovered, "sid", pid, None)


def connected(ms: int, offset: int | None = None):
    return happening(BEGIN + ms, "connected", str(at(ms if offset is None else offset)), 2)


def disconnect(ms: int, reason="transport close"):
    return happening(BEGIN + ms, "disconnect", reason, None, None, None)


def subscribed(ms: int, room="market:1", events=None, complete=None, since=None):
    told = None if events is None else [[str(at(one)), f"k{one}"] for one in events]
    return [happening(BEGIN + ms - 1, "asked", room, since, None),
            happening(BEGIN + ms, "ack", room, True, "", told, complete, None if since is None else str(at(since)))]


def start():
    return [connect(0), connected(2), *subscribed(10)]


def judge(published: list[Event], journal: list, **more):
    known = {one.key: {one.id} for one in published + more.pop("gone", [])}
    rooms = {one.key: one.rooms for one in published} | more.pop("rooms", {})
    member = Member(["global:all"], journal, recovery=more.pop("recovery", True))
    evidence = Evidence(held=published, confirmed=known, members={"c": member}, rooms_of=rooms, **more)
    return check(evidence)


def kinds(verdict) -> list[str]:
    return sorted(problem.kind for problem in verdict.problems)


def test_all_well():
    verdict = judge([event(20), event(30, OWN)], [*start(), got(20), got(30)])
    assert (kinds(verdict), verdict.due, verdict.delivered) == ([], 2, 2)


def test_a_lost_event():
    verdict = judge([event(20), event(30), event(40)], [*start(), got(20), got(40)])
    assert (kinds(verdict), verdict.due, verdict.delivered) == (["lost"], 3, 2)
    assert str(at(30)) in verdict.problems[0].text and "market:1" in verdict.problems[0].text


def test_the_last_event_is_due_too():
    assert kinds(judge([event(20), event(30)], [*start(), got(20)])) == ["lost"]


def test_an_own_room_is_due_from_connected():
    assert kinds(judge([event(5, OWN), event(20)], [*start(), got(20)])) == ["lost"]


def test_a_repeated_event():
    verdict = judge([event(20)], [*start(), got(20), got(20, 25)])
    assert (kinds(verdict), verdict.delivered) == (["repeated"], 1)


def test_events_out_of_order():
    assert kinds(judge([event(20), event(30)], [*start(), got(30), got(20, 35)])) == ["disorder"]


def test_before_the_ack_nothing_is_due_but_may_come():
    assert kinds(judge([event(5), event(9), event(20)], [*start(), got(9, 11), got(20)])) == []


def test_recovery_continues_the_chain():
    back = [disconnect(25), connect(50, True)]
    assert kinds(judge([event(20), event(30), event(60)],
                       [*start(), got(20), *back, got(30, 51), connected(52), got(60)])) == []
    assert kinds(judge([event(20), event(30), event(60)],
                       [*start(), got(20), *back, connected(52), got(60)])) == ["lost"]
    assert kinds(judge([event(20), event(30)],
                       [*start(), got(20), *back, got(20, 51), got(30, 51), connected(52)])) == ["repeated"]


def test_missed_events_come_before_connected():
    late = [disconnect(25), connect(50, True), connected(52), got(30, 53)]
    assert kinds(judge([event(20), event(30)], [*start(), got(20), *late])) == ["disorder"]


def test_recovery_is_counted():
    verdict = judge([event(20)], [*start(), got(20), disconnect(25), connect(50, True), connected(51)])
    assert (verdict.recovered, sum(verdict.reasons.values())) == (1, 0)


def test_no_recovery_needs_a_reason():
    journal = [*start(), got(20), disconnect(25), connect(50, pid="q"), connected(52), *subscribed(60), got(70)]
    events = [event(20), event(30), event(70)]
    assert kinds(judge(events, journal)) == ["unexplained"]
    assert judge(events, journal, window=20 * MS).reasons == {"window": 1}
    assert judge(events, journal, losses=[Loss(at(26), at(40), total=True)]).reasons == {"data-loss": 1}
    assert kinds(judge(events, journal, losses=[Loss(at(80), at(90), total=False)])) == ["unexplained"]
    assert judge(events, journal, caps={"market:1": 1}).reasons == {"overflow": 1}
    assert kinds(judge(events, journal, caps={"market:1": 2})) == ["unexplained"]
    assert judge(events, journal, recovery=False).reasons == {"unwanted": 1}


def test_a_chain_does_not_outlive_all_data():
    journal, loss = [*start(), got(20), got(70)], [Loss(at(26), at(40), total=True)]
    back = [*start(), got(20), disconnect(45), connect(50, True), connected(52), got(70)]
    events = [event(20), event(70)]
    assert kinds(judge(events, journal, losses=loss)) == ["hollow"]
    assert kinds(judge(events, back, losses=loss)) == ["hollow"]
    assert kinds(judge(events, back, losses=[Loss(at(26), at(40), total=False)])) == []


def test_a_drop_before_connected_is_a_reason():
    journal = [connect(0), disconnect(1), connect(5), connected(6), *subscribed(10), got(20)]
    assert judge([event(20)], journal).reasons == {"early": 1}


def test_a_chain_without_return_is_due_up_to_its_last_event():
    journal = [*start(), got(20), got(30), disconnect(45), connect(50), connected(52), *subscribed(60), got(70)]
    assert kinds(judge([event(20), event(30), event(40), event(70)], journal, recovery=False)) == []
    assert kinds(judge([event(20), event(25), event(30), event(70)], journal, recovery=False)) == ["lost"]


def test_an_overflown_room_is_due_up_to_its_own_last_event():
    journal = [*start(), got(20), got(40), disconnect(45), connect(50), connected(52), *subscribed(60), got(70)]
    events = [event(20), event(30), event(35), event(40, OWN), event(70)]
    assert kinds(judge(events, journal, caps={"market:1": 2})) == []


def test_what_an_ack_tells_is_due_and_once():
    events = [event(3), event(5), event(20)]
    begin = [connect(0), connected(2)]
    told = subscribed(10, events=[3, 5], complete=True, since=2)
    assert kinds(judge(events, [*begin, *told, got(20)])) == []
    assert kinds(judge(events, [*begin, *told, got(5, 11), got(20)])) == ["repeated"]
    hole = subscribed(10, events=[5], complete=True, since=2)
    assert kinds(judge(events, [*begin, *hole, got(20)])) == ["lost"]
    too_old = subscribed(10, events=[5], complete=False, since=2)
    assert kinds(judge(events, [*begin, *too_old, got(20)])) == []
    assert kinds(judge(events, [*begin, *subscribed(10, events=[5, 3], complete=True, since=2), got(20)])) == \
        ["disorder"]


def test_a_room_that_was_not_asked_for():
    assert kinds(judge([event(20), event(30, OTHER)], [*start(), got(20), got(30)])) == ["foreign"]


def test_an_event_that_nobody_published():
    assert kinds(judge([event(20)], [*start(), got(20), got(21)])) == ["stranger"]


def test_what_redis_lost():
    gone = {"gone": [event(25)], "rooms": {"k25": MARKET}}
    journal = [*start(), got(20), got(30)]
    assert kinds(judge([event(20), event(30)], journal, **gone)) == ["vanished"]
    lossy = judge([event(20), event(30)], journal, **gone, losses=[Loss(at(26), at(29), total=False)])
    assert (kinds(lossy), lossy.lost_by_redis) == ([], 1)
    kept = judge([event(20), event(30)], journal, **gone, losses=[Loss(at(26), at(29), total=False)], kept=True)
    assert kinds(kept) == ["vanished"]
    wild = judge([event(20), event(30)], journal, **gone, losses=[Loss(at(24), at(29), False, wild=True)], kept=True)
    assert kinds(wild) == []


def test_one_key_with_two_ids():
    events = [event(20), Event("k20", at(30), MARKET)]
    journal = [*start(), got(20), happening(BEGIN + 31, "event", str(at(30)), "market:trade", "k20")]
    assert kinds(judge(events, journal)) == ["twice"]
    assert kinds(judge(events, journal, losses=[Loss(at(25), at(29), total=False)])) == []


def test_nothing_is_not_enough():
    assert "vacuous" in kinds(judge([], start()))
    assert "vacuous" in kinds(judge([event(1)], [connect(0), connected(2)]))
    assert "away" in kinds(judge([event(20)], []))
    assert "away" in kinds(judge([event(20)], [*start(), got(20), disconnect(30)]))


def test_a_dismissed_client():
    assert "dismissed" in kinds(judge([event(20)], [*start(), got(20), disconnect(30, "io server disconnect")]))


def test_clients_without_ids():
    plain = [happening(BEGIN + ms + 1, "event", None, "market:trade", f"k{ms}") for ms in (20, 40)]
    verdict = judge([event(20), event(30), event(40)], [*start(), *plain], recovery=False)
    assert kinds(verdict) == ["lost"]


if __name__ == "__main__":
    for name, test in sorted(globals().copy().items()):
        if name.startswith("test_"):
            test()
            print("ok", name)
