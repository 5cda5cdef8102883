from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from ticketsmith.benchmark.artifacts import load
from ticketsmith.benchmark.carry_out import carry_out
from ticketsmith.benchmark.sizes import sizes
from ticketsmith.experiment.contract import (
    ANSWER_LIMIT,
    BenchmarkRound,
    RoundResult,
    read_answer,
    write_answer,
)
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.results import BENCHMARK, LAYERS, RESULT, BenchmarkDetails, Progress
from ticketsmith.experiment.spec import BenchmarkSpec, DatasetSpec, ModelSpec
from ticketsmith.stores.base import Store

Ladder = tuple[str, Sequence[str]]


def task(ladder: Ladder, *, batch_sizes: tuple[int, ...] = (1, 16)) -> BenchmarkRound:
    return BenchmarkRound(
        name="benchmark",
        experiment="bench",
        runner_version="0.1.0",
        machine="test",
        model=ModelSpec(name="lenet300"),
        dataset=DatasetSpec(name="digits"),
        benchmark=BenchmarkSpec(batch_sizes=batch_sizes, warmup=1, repeats=5),
        dense=ladder[0],
        tickets=tuple(ladder[1]),
    )


def quiet(progress: Progress) -> None:
    del progress


def test_every_network_is_timed_at_every_batch_size(store: Store, ladder: Ladder) -> None:
    dense, tickets = ladder
    heard: list[Progress] = []
    result = carry_out(task(ladder), store, progress=heard.append)
    details = BenchmarkDetails.model_validate_json(store.read_text(result.key, BENCHMARK) or "")
    for batch in (1, 16):
        mine = [t for t in details.timings if t.batch_size == batch]
        assert [t.round for t in mine] == [dense, dense, *tickets]
        assert (mine[0].speedup, mine[0].low, mine[0].high) == (1.0, 1.0, 1.0)
        for timing in mine:
            assert 0 < timing.p50_ms <= timing.p95_ms
            assert timing.low <= timing.speedup <= timing.high
            assert timing.path == "dense"
    assert heard[0].doing == "loading"
    assert heard[-1].doing == "timing"
    assert heard[-1].iteration == heard[-1].iterations == 10


def test_the_answer_holds_the_tickets_timings(store: Store, ladder: Ladder) -> None:
    result = carry_out(task(ladder), store, progress=quiet)
    assert result.arm == "benchmark"
    assert [(t.round, t.batch_size) for t in result.timings] == [
        (ladder[1][1], 1),
        (ladder[1][0], 1),
        (ladder[1][1], 16),
        (ladder[1][0], 16),
    ]
    assert store.fetch(result.key, BENCHMARK, result.files[BENCHMARK]).is_file()


def test_an_answer_too_long_keeps_the_smallest_batch(store: Store, ladder: Ladder) -> None:
    many = (ladder[0], [*ladder[1]] * 8)
    result = carry_out(task(many, batch_sizes=(1, 2)), store, progress=quiet)
    answer = write_answer(result)
    assert len(answer.encode()) <= ANSWER_LIMIT
    read = read_answer(answer)
    assert isinstance(read, RoundResult)
    assert 16 < len(read.timings) < 32
    assert sum(timing.batch_size == 1 for timing in read.timings) == 16


def test_started_again_it_answers_from_its_result(store: Store, ladder: Ladder) -> None:
    first = carry_out(task(ladder), store, progress=quiet)
    heard: list[Progress] = []
    assert carry_out(task(ladder), store, progress=heard.append) == first
    assert not heard


def test_files_are_written_measured_and_removed(store: Store, ladder: Ladder) -> None:
    dense, (half, tenth) = ladder
    result = carry_out(task(ladder), store, progress=quiet)
    details = BenchmarkDetails.model_validate_json(store.read_text(result.key, BENCHMARK) or "")
    sizes = {size.round: size for size in details.sizes}
    assert sizes[dense].dense_bytes == sizes[half].dense_bytes
    assert sizes[dense].sparse_bytes > sizes[dense].dense_bytes  # the bits come on top
    assert sizes[tenth].sparse_bytes < sizes[half].sparse_bytes < sizes[half].dense_bytes
    assert not [
        file for file in store.scratch(result.key).iterdir() if file.suffix == ".safetensors"
    ]


def test_negative_zeros_take_no_space(ladder: Ladder, store: Store, tmp_path: Path) -> None:
    artifact = load(store, ladder[1][1])
    before = sizes(artifact, tmp_path)
    for name in artifact.prunable:
        artifact.weights[name][artifact.weights[name] == 0] = -0.0
    assert sizes(artifact, tmp_path) == before


def test_an_artifact_is_loaded_with_its_own_weights(store: Store, ladder: Ladder) -> None:
    artifact = load(store, ladder[1][1])
    model = artifact.model((1, 8, 8), 10)
    state = model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in artifact.weights.items())
    zeros = sum(int((state[name] == 0).sum()) for name in artifact.prunable)
    assert artifact.result.prunable is not None
    assert artifact.result.remaining is not None
    assert zeros == artifact.result.prunable - artifact.result.remaining


def test_damaged_weights_are_named_and_never_used(
    store: Store, ladder: Ladder, tmp_path: Path
) -> None:
    file = tmp_path / "store" / ladder[1][0] / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    with pytest.raises(BadSpec, match=r"weights\.safetensors is damaged"):
        carry_out(task(ladder), store, progress=quiet)
    assert store.read_text(task(ladder).key, RESULT) is None


@pytest.mark.parametrize("name", [LAYERS, "spec.json"])
def test_a_missing_document_is_told(store: Store, ladder: Ladder, name: str) -> None:
    store.remove(ladder[0], name)
    with pytest.raises(BadSpec, match="run its round again"):
        carry_out(task(ladder), store, progress=quiet)


def test_a_round_that_is_not_done_is_told(store: Store, save: Callable[..., str]) -> None:
    with pytest.raises(BadSpec, match=r"artifact 0{16} has no result\.json"):
        carry_out(task((save(), ["0" * 16])), store, progress=quiet)
