"""Events: one of each kind a turn, named by what they tell."""

from ticketsmith.experiment.decision import Event
from ticketsmith_operator.controller.stories import LONGEST, repeated, stories
from ticketsmith_operator.controller.views import ExperimentView

VIEW = ExperimentView(("ns", "trial"), "uid", 1, 1, False, None, None, None)
NOW = 1_750_000_000.0


def test_a_turn_is_told_in_one_event_of_each_kind() -> None:
    events = [
        Event("Normal", "RoundStarted", "b starts"),
        Event("Normal", "RoundDone", "a is done"),
        Event("Warning", "GateFailed", "a fails the gate"),
    ]
    told = stories(VIEW, events, NOW)
    assert [(e["type"], e["reason"], e["message"]) for e in told] == [
        ("Normal", "RoundDone", "b starts; a is done"),
        ("Warning", "GateFailed", "a fails the gate"),
    ]
    assert stories(VIEW, [], NOW) == []


def test_the_same_story_has_the_same_name_and_another_has_another() -> None:
    one, again = (stories(VIEW, [Event("Normal", "A", "x")], t)[0] for t in (NOW, NOW + 9))
    other = stories(VIEW, [Event("Normal", "A", "y")], NOW)[0]
    assert one["metadata"]["name"] == again["metadata"]["name"] != other["metadata"]["name"]


def test_a_story_told_again_is_counted() -> None:
    assert repeated({"count": 2}, NOW) == {"count": 3, "lastTimestamp": "2025-06-15T15:06:40Z"}


def test_a_long_story_is_cut_to_what_the_server_takes() -> None:
    events = [Event("Normal", "RoundStarted", f"round-{n} starts") for n in range(200)]
    [told] = stories(VIEW, events, NOW)
    assert len(told["message"]) == LONGEST
    assert told["message"].endswith("; and more")
