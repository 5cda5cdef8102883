"""Weights that `ticketsmith gc` took are made again by whoever needs them, to the bit, or refused in one sentence."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from ticketsmith.benchmark.artifacts import load
from ticketsmith.benchmark.carry_out import carry_out as benchmark
from ticketsmith.engine.carry_out import carry_out
from ticketsmith.engine.stopping import Interrupted, StopSignals
from ticketsmith.experiment import results
from ticketsmith.experiment.contract import BenchmarkRound, Parents, TrainRound
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.results import Progress
from ticketsmith.experiment.spec import BenchmarkSpec
from ticketsmith.stores.base import Store

CPU = torch.device("cpu")


def thin(store: Store, *tasks: TrainRound) -> None:
    """Remove the weights of these rounds."""
    for task in tasks:
        for name in results.WEIGHTY:
            store.remove(task.key, name)


def files(store: Store, task: TrainRound) -> set[str]:
    return {file.name for file in store.files(task.key)}


def deeper(make_round: Any, rounds: list[TrainRound], **changes: Any) -> TrainRound:
    """The ticket of one more level."""
    parents = Parents(dense=rounds[0].key, scored=rounds[-1].key)
    return make_round("ticket", len(rounds), 0.9, parents=parents, **changes)  # type: ignore[no-any-return]


def test_a_ticket_is_the_same_whether_its_parents_had_to_be_made_again(
    ladder: Any, make_round: Any, work: Any, store: Store
) -> None:
    rounds = ladder(0.5, 0.7, rewind="5it")
    child = deeper(make_round, rounds, rewind="5it")
    straight = work(child)
    store.remove(child.key, results.RESULT)
    before = {task.key: work(task).files for task in rounds}
    thin(store, *rounds)
    told: list[Progress] = []
    again = carry_out(child, store, progress=told.append, device=CPU)
    assert (again.files[results.WEIGHTS], again.files[results.MASK]) == (
        straight.files[results.WEIGHTS],
        straight.files[results.MASK],
    )
    assert again.metrics == straight.metrics
    # The dense network rewinds and the ticket before is scored; the ticket before that is not needed.
    for task in (rounds[0], rounds[2]):
        for name in results.WEIGHTY & before[task.key].keys():
            assert store.fetch(task.key, name, before[task.key][name]).is_file()
    assert not results.WEIGHTY & files(store, rounds[1])
    assert {line.round for line in told} == {child.name}
    assert "restoring" in {line.doing for line in told}


@pytest.mark.parametrize("arm", ["reinit", "random"])
def test_controls_are_the_same_too(
    ladder: Any, make_round: Any, work: Any, store: Store, arm: str
) -> None:
    dense, ticket = ladder(0.7)
    control = make_round(arm, 1, 0.7, parents=Parents(dense=dense.key, ticket=ticket.key))
    straight = work(control)
    store.remove(control.key, results.RESULT)
    thin(store, dense, ticket)
    assert work(control).files[results.WEIGHTS] == straight.files[results.WEIGHTS]
    assert not results.WEIGHTY & files(store, ticket)  # its mask is all that was needed
    assert bool(results.WEIGHTY & files(store, dense)) is (arm == "random")


def test_the_last_weights_are_made_again_where_the_best_are_reported(
    ladder: Any, make_round: Any, work: Any, store: Store
) -> None:
    training = {"duration": "12ep", "optimizer": {"name": "adam", "lr": 0.03}}
    chosen = {"training": training | {"select": "bestValidation"}}
    rounds = ladder(0.5, **chosen)
    child = deeper(make_round, rounds, **chosen)
    straight = work(child)
    store.remove(child.key, results.RESULT)
    assert results.FINAL in work(rounds[0]).files
    thin(store, *rounds)
    assert work(child).files[results.MASK] == straight.files[results.MASK]


def test_a_benchmark_has_the_networks_it_times_made_again(
    ladder: Any, store: Store, work: Any
) -> None:
    """With the threads they were made with, though it has others itself."""
    dense, ticket = ladder(0.5)
    sha256 = work(ticket).files[results.WEIGHTS]
    thin(store, dense, ticket)
    task = BenchmarkRound(
        name="benchmark",
        experiment="test",
        runner_version="0.1.0",
        machine="lab",
        model=dense.model,
        dataset=dense.dataset,
        benchmark=BenchmarkSpec(batch_sizes=(1,), warmup=0, repeats=5),
        dense=dense.key,
        tickets=(ticket.key,),
    )
    torch.set_num_threads(2)
    assert benchmark(task, store, progress=lambda _: None).arm == "benchmark"
    assert torch.get_num_threads() == 2
    assert store.fetch(ticket.key, results.WEIGHTS, sha256).is_file()


def test_what_comes_out_differently_is_refused_and_not_stored(
    ladder: Any,
    make_round: Any,
    work: Any,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TICKETSMITH_CHECKPOINT_SECONDS", "0")
    rounds = ladder(0.5, rewind="5it")
    child = deeper(make_round, rounds, rewind="5it")
    thin(store, *rounds)
    alter(
        tmp_path, rounds[0], results.RESULT, lambda d: d["files"].update({results.REWIND: "0" * 64})
    )
    alter(tmp_path, rounds[0], results.ENVIRONMENT, lambda d: d.update(torch="1.0"))
    with pytest.raises(BadSpec) as refused:
        work(child)
    said = str(refused.value)
    assert said.startswith(f"rewind.safetensors of the dense round {rounds[0].key} was removed by")
    assert "torch" in said
    assert "was 1.0" in said
    assert f"remove {store.uri}/{rounds[0].key} and run the experiment again" in said
    assert not results.WEIGHTY & files(
        store, rounds[0]
    )  # nor a checkpoint, which would mislead others
    assert store.read_text(child.key, results.RESULT) is None


def test_another_device_is_refused_before_anything_is_trained(
    ladder: Any, make_round: Any, work: Any, store: Store, tmp_path: Path
) -> None:
    rounds = ladder(0.5)
    thin(store, *rounds)
    alter(tmp_path, rounds[0], results.ENVIRONMENT, lambda d: d.update(device="NVIDIA T4"))
    told: list[Progress] = []
    with pytest.raises(BadSpec, match=r"device cpu, was NVIDIA T4"):
        carry_out(deeper(make_round, rounds), store, progress=told.append, device=CPU)
    assert not any(line.iteration for line in told)


@pytest.mark.parametrize("name", [results.SPEC, results.ENVIRONMENT])
def test_a_round_without_its_documents_cannot_be_made_again(
    ladder: Any, make_round: Any, work: Any, store: Store, name: str
) -> None:
    rounds = ladder(0.5)
    thin(store, *rounds)
    store.remove(rounds[0].key, name)
    with pytest.raises(BadSpec, match=f"round {rounds[0].key} lacks weights, and its spec.json or"):
        work(deeper(make_round, rounds))


def test_stopped_on_the_way_it_goes_on_from_a_checkpoint(
    ladder: Any, make_round: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKETSMITH_CHECKPOINT_SECONDS", "0")
    rounds = ladder()
    child = deeper(make_round, rounds)
    thin(store, *rounds)
    stop = StopSignals()

    def interrupt(told: Progress) -> None:
        if told.doing == "restoring" and told.iteration:
            stop.noted = 15

    with pytest.raises(Interrupted):
        carry_out(child, store, progress=interrupt, device=CPU, stop=stop)
    assert results.CHECKPOINT in files(store, rounds[0])
    told: list[Progress] = []
    assert carry_out(child, store, progress=told.append, device=CPU).arm == "ticket"
    assert max(line.resumed_at or 0 for line in told if line.doing == "restoring") > 0
    assert results.CHECKPOINT not in files(store, rounds[0])


def test_where_nothing_is_trained_missing_weights_are_named(
    ladder: Any, work: Any, store: Store
) -> None:
    dense, _ = ladder(0.5)
    thin(store, dense)
    with pytest.raises(BadSpec, match=rf"weights.safetensors of round {dense.key} \(dense\) is in"):
        load(store, dense.key)


def test_rounds_that_are_relied_on_are_marked_as_used(
    ladder: Any, make_round: Any, work: Any, store: Store
) -> None:
    rounds = ladder(0.5)
    assert results.USED not in files(store, rounds[1])
    work(deeper(make_round, rounds))
    assert results.USED in files(store, rounds[0])
    assert results.USED in files(store, rounds[1])


def test_a_round_that_answers_from_its_result_is_marked_as_used(
    make_round: Any, work: Any, store: Store
) -> None:
    task = make_round(training={"duration": "1ep"})
    work(task)
    assert results.USED not in files(store, task)
    work(task)
    assert results.USED in files(store, task)


def alter(tmp_path: Path, task: TrainRound, name: str, change: Any) -> None:
    """Edit a round's document behind everybody's back."""
    file = tmp_path / "store" / task.key / name
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))
