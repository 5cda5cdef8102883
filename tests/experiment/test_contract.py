"""contract: answers that fit, and keys that name the work and nothing else."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from ticketsmith.experiment.contract import (
    ANSWER_LIMIT,
    BenchmarkRound,
    ExitCode,
    RoundError,
    RoundResult,
    Timing,
    TrainRound,
    read_answer,
    read_round,
    write_answer,
)

KEY = "0123456789abcdef"


def ticket(make_lab: Callable[..., Any], **spec: Any) -> tuple[Any, Any]:
    """The second level's ticket round of an experiment."""
    lab = make_lab(**spec)
    lab.tick()
    lab.finish()
    rounds = {s.round.name: s.round for d in lab.decisions for s in d.start}
    return rounds["dense-s0"], rounds["ticket-s0-l02"]


def test_a_key_does_not_depend_on_names(make_lab: Callable[..., Any]) -> None:
    _, told = ticket(make_lab)
    renamed = told.model_copy(update={"name": "other", "experiment": "elsewhere"})
    assert renamed.key == told.key
    assert len(told.key) == 16


def test_a_key_is_the_same_in_every_process(make_lab: Callable[..., Any]) -> None:
    dense, _ = ticket(make_lab)
    assert read_round(dense.model_dump_json()).key == dense.key
    shuffled = dict(reversed(list(json.loads(dense.model_dump_json()).items())))
    assert TrainRound.model_validate(shuffled).key == dense.key


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("runner_version", "2"),
        ("arm", "reinit"),
        ("seed", 1),
        ("level", 3),
        ("sparsity", 0.81),
        ("rewind", "10it"),
        ("model", {"name": "lenet5"}),
        ("model", {"name": "lenet300", "options": {"width": 2}}),
        ("dataset", {"name": "mnist"}),
        ("training", {"batchSize": 61}),
        ("training", {"optimizer": {"lr": 0.1}}),
        ("pruning", {"scope": "layer"}),
        ("pruning", None),
        ("parents", {"dense": KEY}),
    ],
)
def test_a_key_depends_on_everything_that_decides_the_outcome(
    make_lab: Callable[..., Any], field: str, value: Any
) -> None:
    _, told = ticket(make_lab)
    document = told.model_dump(mode="json", by_alias=False) | {field: value}
    assert TrainRound.model_validate(document).key != told.key


@pytest.mark.parametrize(
    "spec",
    [
        {"limits": {"retries": 7, "parallelism": 3}},
        {"gates": []},
        {"runner": {"image": "other"}},
        {"artifacts": {"uri": "gs://elsewhere"}},
        {"controls": ["reinit"]},
        {"seeds": [0, 1]},
        {"benchmark": {"batchSizes": [4]}},
        {"sparsities": {"targets": [0.5, 0.8, 0.9]}},
    ],
)
def test_limits_placement_gates_and_further_rounds_stay_out_of_keys(
    make_lab: Callable[..., Any], spec: dict[str, Any]
) -> None:
    assert [r.key for r in ticket(make_lab, **spec)] == [r.key for r in ticket(make_lab)]


@pytest.mark.parametrize(
    ("pruning", "same_dense"),
    [
        ({"scope": "layer"}, True),
        ({"method": "oneShot"}, True),
        ({"score": "random"}, True),
        ({"exclude": ["fc3"]}, True),
        ({"rewind": "100it"}, False),
    ],
)
def test_experiments_that_prune_differently_share_their_dense_rounds(
    make_lab: Callable[..., Any], pruning: dict[str, Any], same_dense: bool
) -> None:
    dense, told = ticket(make_lab, gates=[])
    other_dense, other = ticket(make_lab, gates=[], pruning=pruning)
    assert (other_dense.key == dense.key) == same_dense
    assert other.key != told.key


def test_a_timing_belongs_to_its_machine() -> None:
    told = BenchmarkRound.model_validate(
        {
            "name": "benchmark", "experiment": "x", "runnerVersion": "1", "machine": "cpu",
            "model": {"name": "lenet300"}, "dataset": {}, "benchmark": {}, "dense": KEY,
            "tickets": [KEY],
        }
    )  # fmt: skip
    assert told.model_copy(update={"machine": "gpu"}).key != told.key


# --- answers -------------------------------------------------------------------------------------
def timing(number: int) -> Timing:
    return Timing(
        round=KEY, batch_size=number, path="dense", p50_ms=1.23456, p95_ms=2.3456,
        speedup=1.01, low=0.9, high=1.1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("timings", "files", "kept"),
    [
        (2, 8, {"timings": 2, "files": 8}),
        (60, 8, {"timings": 0, "files": 8}),
        (60, 60, {"timings": 0, "files": 0}),
    ],
)
def test_an_answer_fits_and_leaves_out_details_first(
    timings: int, files: int, kept: dict[str, int]
) -> None:
    answer = RoundResult(
        key=KEY, arm="ticket", remaining=1, prunable=2, metrics={"accuracy": 0.98},
        timings=tuple(timing(i + 1) for i in range(timings)),
        files={f"file-{i}.safetensors": "f" * 64 for i in range(files)},
    )  # fmt: skip
    text = write_answer(answer)
    assert len(text.encode()) <= ANSWER_LIMIT
    back = read_answer(text)
    assert isinstance(back, RoundResult)
    assert {"timings": len(back.timings), "files": len(back.files)} == kept
    assert (back.metrics, back.sparsity) == ({"accuracy": 0.98}, 0.5)


@pytest.mark.parametrize("message", ["short", "long " * 5000, "größer " * 900])
def test_an_error_s_last_words_fit(message: str) -> None:
    text = write_answer(RoundError(exit_code=4, message=message))
    assert len(text.encode()) <= ANSWER_LIMIT
    back = read_answer(text)
    assert isinstance(back, RoundError)
    assert message.startswith(back.message)
    assert back.exit_code == 4


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"outcome":"done"}', '{"outcome":"done","key":"x","arm":"dense"}']
)
def test_what_is_no_answer_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        read_answer(text)


@pytest.mark.parametrize(
    ("code", "final"),
    [
        (0, False),
        (1, False),
        (2, True),
        (3, True),
        (4, True),
        (5, False),
        (137, False),
        (-9, False),
    ],
)
def test_which_exit_codes_are_final(code: int, final: bool) -> None:
    assert ExitCode.is_final(code) == final
