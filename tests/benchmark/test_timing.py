"""On a clock that the networks themselves move: nothing here depends on the machine."""

from collections import Counter

import pytest

from ticketsmith.benchmark.timing import Fresh, Pass, interleave


class FakeMachine:
    """Networks that take as long as they are told; every reading of the clock is free."""

    def __init__(self) -> None:
        self.now = 0
        self.log: list[str] = []

    def clock(self) -> int:
        return self.now

    def network(self, name: str, nanoseconds: int) -> Fresh:
        """A network whose copies log being made and being run."""

        def run() -> None:
            self.now += nanoseconds
            self.log.append(name)

        def fresh() -> Pass:
            self.log.append(f"new {name}")
            return run

        return fresh


def test_each_pass_is_timed() -> None:
    machine = FakeMachine()
    networks = {"a": machine.network("a", 500_000), "b": machine.network("b", 1_000_000)}
    found = interleave(networks, repeats=5, warmup=0, clock=machine.clock)
    assert found["a"].samples.tolist() == pytest.approx([0.5] * 5)
    assert found["b"].samples.tolist() == pytest.approx([1.0] * 5)
    assert found["a"].passes.shape == (5 * 4,)  # four passes of 0.5 ms fill a sample of 2 ms
    assert found["b"].passes.shape == found["a"].passes.shape


def test_slow_networks_get_one_pass_a_sample() -> None:
    machine = FakeMachine()
    found = interleave(
        {"slow": machine.network("slow", 50_000_000)}, repeats=6, warmup=1, clock=machine.clock
    )
    assert found["slow"].passes.shape == (6,)


def test_every_repeat_runs_a_fresh_copy_of_every_network_in_changing_order() -> None:
    machine = FakeMachine()
    names = ["a", "b", "c"]
    networks = {name: machine.network(name, 3_000_000) for name in names}
    interleave(networks, repeats=30, warmup=2, clock=machine.clock)
    timed = machine.log[-270:]
    assert all(timed[n] == f"new {timed[n + 1]}" for n in range(0, 270, 3))
    assert all(timed[n + 1] == timed[n + 2] for n in range(0, 270, 3))
    order = timed[1::3]
    rounds = [tuple(order[n : n + 3]) for n in range(0, 90, 3)]
    assert all(sorted(one) == names for one in rounds)
    assert len(set(rounds)) > 3
    first = Counter(one[0] for one in rounds)
    assert min(first[name] for name in names) >= 4


def test_the_first_pass_of_a_copy_is_not_counted() -> None:
    machine = FakeMachine()

    def fresh() -> Pass:
        passes = iter([100_000_000])

        def run() -> None:
            machine.now += next(passes, 4_000_000)

        return run

    found = interleave({"cold": fresh}, repeats=5, warmup=1, clock=machine.clock)
    assert found["cold"].passes.tolist() == pytest.approx([4.0] * 5)


def test_progress_hears_every_repeat() -> None:
    machine, heard = FakeMachine(), []
    interleave(
        {"a": machine.network("a", 10**7)},
        repeats=5,
        warmup=0,
        clock=machine.clock,
        told=heard.append,
    )
    assert heard == [1, 2, 3, 4, 5]


def test_one_pass_that_is_held_up_does_not_move_its_sample() -> None:
    machine = FakeMachine()
    calls = 0

    def run() -> None:
        nonlocal calls
        calls += 1
        machine.now += 30_000_000 if calls % 20 == 0 else 200_000

    found = interleave({"held up": lambda: run}, repeats=10, warmup=0, clock=machine.clock)
    assert found["held up"].samples.tolist() == pytest.approx([0.2] * 10)
    assert found["held up"].passes.max() == pytest.approx(30.0)
