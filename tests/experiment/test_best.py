"""best: which tickets are kept and which one an experiment stands for."""

from typing import Any

import pytest

from ticketsmith.experiment.best import best, choose, kept, measured_speedup, measured_throughput
from ticketsmith.experiment.contract import Timing
from ticketsmith.experiment.status import RoundStatus

KEY = "0123456789abcdef"


def rounds(*tickets: Any, dense: float = 0.98) -> dict[str, RoundStatus]:
    """Dense rounds of seeds 0 to 2 and tickets as (seed, level, validation, more)."""
    found = {
        f"dense-s{seed}": RoundStatus(
            name=f"dense-s{seed}", arm="dense", seed=seed, level=0, state="Done",
            metrics={"accuracy": dense, "loss": 0.1},
        )
        for seed in range(3)
    }  # fmt: skip
    for seed, level, validation, *more in tickets:
        name = f"ticket-s{seed}-l{level:02d}"
        found[name] = RoundStatus(
            name=name, arm="ticket", seed=seed, level=level, state="Done", gate="passed",
            key=f"{seed:08x}{level:08x}", sparsity=level / 10,
            metrics={"accuracy": 0.97, "valAccuracy": validation, "loss": 0.2, "valLoss": validation},
        ).model_copy(update=more[0] if more else {})  # fmt: skip
    return found


@pytest.mark.parametrize(
    ("tickets", "chosen"),
    [
        ([], None),
        ([(0, 1, 0.9)], "ticket-s0-l01"),
        ([(0, 1, 0.9), (0, 2, 0.8)], "ticket-s0-l02"),
        # two seeds at level 1 count for more than one at level 2
        ([(0, 1, 0.9), (1, 1, 0.8), (0, 2, 0.99)], "ticket-s0-l01"),
        ([(0, 1, 0.8), (1, 1, 0.9), (0, 2, 0.99)], "ticket-s1-l01"),
        ([(0, 2, 0.9), (1, 2, 0.9)], "ticket-s0-l02"),
        ([(2, 2, 0.9), (1, 2, 0.9)], "ticket-s1-l02"),
        ([(0, 1, 0.9), (0, 2, 0.99, {"gate": "failed"})], "ticket-s0-l01"),
        ([(0, 1, 0.9), (0, 2, 0.99, {"gate": None})], "ticket-s0-l02"),
        ([(0, 1, 0.9), (0, 2, 0.99, {"state": "Running"})], "ticket-s0-l01"),
        ([(0, 1, 0.9), (0, 2, 0.99, {"metrics": {"valAccuracy": 0.9}})], "ticket-s0-l01"),
    ],
)
def test_choice(tickets: Any, chosen: str | None) -> None:
    found = choose(kept(rounds(*tickets), "accuracy"), "accuracy")
    assert (found and found.name) == chosen


def test_the_order_in_which_tickets_finished_decides_nothing() -> None:
    found = kept(rounds((2, 1, 0.9), (0, 2, 0.9), (0, 1, 0.9)), "accuracy")
    assert [t.name for t in found] == ["ticket-s0-l01", "ticket-s2-l01", "ticket-s0-l02"]


def test_the_test_set_has_no_say() -> None:
    lucky = {"metrics": {"accuracy": 1.0, "valAccuracy": 0.90}}
    found = choose(kept(rounds((0, 1, 0.91), (1, 1, 0.90, lucky)), "accuracy"), "accuracy")
    assert found.name == "ticket-s0-l01"


def test_a_lower_loss_is_better() -> None:
    tickets = kept(rounds((0, 1, 0.3), (1, 1, 0.2)), "loss")
    assert choose(tickets, "loss").name == "ticket-s1-l01"
    assert tickets[0].metric == 0.2
    assert tickets[0].drop == pytest.approx(0.1)


def test_what_the_status_says() -> None:
    tickets = kept(rounds((0, 1, 0.9), (1, 1, 0.8), (0, 2, 0.9)), "accuracy")
    told = best(tickets, choose(tickets, "accuracy"), 3, None)
    assert (told.round, told.level, told.sparsity) == ("ticket-s0-l01", 1, 0.1)
    assert (told.metric, told.drop) == (0.97, 0.01)
    assert (told.seeds_passed, told.seeds) == (2, 3)
    assert told.artifact == "0000000000000001"


def timing(
    speedup: float | None,
    low: float,
    high: float,
    batch_size: int = 1,
    key: str = KEY,
    path: str = "dense",
    p50_ms: float = 1,
) -> Timing:
    return Timing(
        round=key, batch_size=batch_size, path=path, p50_ms=p50_ms, p95_ms=2,
        speedup=speedup, low=low, high=high,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("timings", "speedup"),
    [
        ([], None),
        ([timing(1.4, 1.3, 1.5)], 1.4),
        ([timing(1.05, 0.99, 1.1)], None),  # the interval holds 1: no speedup
        ([timing(0.8, 0.7, 0.9)], None),
        ([timing(1.4, 1.3, 1.5, batch_size=32)], None),
        ([timing(1.4, 1.3, 1.5, key="f" * 16)], None),
        ([timing(1.4, 1.3, 1.5), timing(2.0, 1.9, 2.1, path="compacted")], 2.0),
    ],
)
def test_a_speedup_is_told_only_if_it_was_measured(timings: Any, speedup: float | None) -> None:
    assert measured_speedup(timings, KEY, 1) == speedup


def test_throughput_is_that_of_the_artifacts_fastest_path_at_each_batch_size() -> None:
    timings = [
        timing(1.0, 0.9, 1.1, batch_size=1, p50_ms=0.5),
        timing(1.0, 0.9, 1.1, batch_size=32, p50_ms=4.0),
        timing(2.0, 1.9, 2.1, batch_size=32, p50_ms=2.0, path="compacted"),
        timing(9.0, 8.9, 9.1, batch_size=32, p50_ms=0.1, key="f" * 16),
    ]
    measured = {"samplesPerSecond1": 2_000.0, "samplesPerSecond32": 16_000.0}
    assert measured_throughput(timings, KEY) == measured
    assert measured_throughput(timings, None) == {}
    assert measured_throughput([], KEY) == {}
