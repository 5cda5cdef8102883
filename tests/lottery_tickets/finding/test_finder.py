"""An experiment from the search to its controls, and on disk."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lottery_tickets import counts
from lottery_tickets.finding.finder import LotteryTicketFinder


def network(hidden: int = 32) -> nn.Module:
    return nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 10))


def finder() -> LotteryTicketFinder:
    return LotteryTicketFinder(network, {"hidden": 32}, "cpu")


def test_the_shape_of_an_experiment(train_fn: Any, eval_fn: Any, capsys: Any) -> None:
    own = finder()
    brought = own.new_model(7)
    model, _, results = own.find_winning_ticket(
        model=brought,
        train_fn=train_fn,
        eval_fn=eval_fn,
        target_sparsity=0.9,
        pruning_rounds=2,
        verbose=True,
    )
    assert model is brought
    assert eval_fn(model) == results["ticket_quality"]
    assert results["seed"] is None
    assert results["dense_quality"] == results["rounds"][0]["quality"]
    assert (results["prunable"], results["parameters"]) == (2368, 2410)
    assert results["kept"] == 2368 - round(0.9 * 2368)
    assert capsys.readouterr().out.count("weights kept") == 3

    reinit = own.verify_random_ticket(train_fn, eval_fn)
    random = own.verify_random_ticket(train_fn, eval_fn, control="random", seed=5)
    assert [one["kind"] for one in results["controls"]] == ["reinit", "random"]
    assert [one["quality"] for one in results["controls"]] == [reinit, random]
    assert "new weights" in results["controls"][0]["meaning"]


def test_controls_differ_from_the_ticket_in_one_thing_only(train_fn: Any, eval_fn: Any) -> None:
    own = finder()
    _, mask, results = own.find_winning_ticket(None, train_fn, eval_fn, 0.8, 1, verbose=False)
    began: list[tuple[dict[str, Any], Any]] = []

    def spy(model: nn.Module, mask: Any) -> None:
        began.append(({n: p.detach().clone() for n, p in model.named_parameters()}, dict(mask)))
        train_fn(model, mask)

    own.verify_random_ticket(spy, eval_fn, seed=3)
    own.verify_random_ticket(spy, eval_fn, control="random", seed=3)
    (reinit, same_mask), (same_weights, random) = began
    fresh = dict(own.new_model(3).named_parameters())
    for name, kept in mask.items():
        assert torch.equal(same_mask[name], kept)
        assert torch.equal(reinit[name], fresh[name] * kept)
        assert torch.equal(same_weights[name], results["rewind_weights"][name] * random[name])
    assert counts(random) == counts(dict(mask))
    assert not torch.equal(random["0.weight"], mask["0.weight"])


def test_a_new_model_is_the_seeds_alone_and_draws_nothing_from_torch() -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    one, same, other = (finder().new_model(seed) for seed in (4, 4, 5))
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(one.get_parameter("0.weight"), same.get_parameter("0.weight"))
    assert not torch.equal(one.get_parameter("0.weight"), other.get_parameter("0.weight"))


def test_reinit_takes_the_steps_to_a_late_rewind_too(
    tmp_path: Path, train_fn: Any, eval_fn: Any
) -> None:
    own, late = finder(), []

    def rewind(model: nn.Module) -> None:
        late.append(model)
        with torch.no_grad():
            model.get_parameter("0.bias").add_(1)

    own.find_winning_ticket(None, train_fn, eval_fn, 0.5, 1, verbose=False, rewind_train_fn=rewind)
    own.verify_random_ticket(train_fn, eval_fn)
    assert len(late) == 2
    own.save_experiment(tmp_path, own.results)  # type: ignore[arg-type]
    loaded = finder()
    loaded.load_experiment(tmp_path)
    with pytest.raises(ValueError, match="pass the rewind_train_fn"):
        loaded.verify_random_ticket(train_fn, eval_fn)
    loaded.verify_random_ticket(train_fn, eval_fn, rewind_train_fn=rewind)
    assert len(late) == 3


def test_it_comes_back_from_disk(tmp_path: Path, train_fn: Any, eval_fn: Any) -> None:
    own = finder()
    _, mask, results = own.find_winning_ticket(None, train_fn, eval_fn, 0.9, 1, verbose=False)
    own.verify_random_ticket(train_fn, eval_fn)
    own.save_experiment(tmp_path / "a" / "b", results)
    other = finder()
    loaded = other.load_experiment(tmp_path / "a" / "b")
    plain = {"mask", "rewind_weights", "trained_weights"}
    assert {k: v for k, v in loaded.items() if k not in plain} == {
        k: v for k, v in results.items() if k not in plain
    }
    assert all(torch.equal(loaded["mask"][name], kept) for name, kept in mask.items())
    for part in ("rewind_weights", "trained_weights"):
        assert loaded[part].keys() == results[part].keys()  # type: ignore[literal-required]
        for name, tensor in results[part].items():  # type: ignore[literal-required]
            assert torch.equal(loaded[part][name], tensor)  # type: ignore[literal-required]
    again = other.verify_random_ticket(train_fn, eval_fn)
    assert again == results["controls"][0]["quality"]


def test_a_search_is_resumed_from_its_folder(tmp_path: Path, train_fn: Any, eval_fn: Any) -> None:
    calls = 0

    def counted(model: nn.Module, mask: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        train_fn(model, mask)

    def search(train: Any, **options: Any) -> Any:
        return finder().find_winning_ticket(
            None, train, eval_fn, 0.9, options.pop("rounds", 3), verbose=False, **options
        )

    with pytest.raises(KeyboardInterrupt):
        search(counted, folder=tmp_path)
    _, mask, results = search(counted, folder=tmp_path)
    assert calls == 5
    _, whole, expected = search(train_fn)
    assert all(torch.equal(mask[name], kept) for name, kept in whole.items())
    assert [r["quality"] for r in results["rounds"]] == [r["quality"] for r in expected["rounds"]]
    model, _, _ = search(counted, folder=tmp_path)
    assert calls == 5
    assert eval_fn(model) == results["ticket_quality"]
    with pytest.raises(ValueError, match="another pruning_rounds and scope: name another folder"):
        search(train_fn, rounds=2, scope="layer", folder=tmp_path)


@pytest.fixture
def saved(tmp_path: Path, train_fn: Any, eval_fn: Any) -> Path:
    own = finder()
    *_, results = own.find_winning_ticket(None, train_fn, eval_fn, 0.9, 1, verbose=False)
    own.save_experiment(tmp_path, results)
    return tmp_path


def test_damage_is_refused(saved: Path) -> None:
    files = sorted(saved.iterdir())
    assert len(files) == 4
    for file in files:
        whole = file.read_bytes()
        flipped = bytearray(whole)
        flipped[len(whole) // 2] ^= 1
        for damaged in (whole[:-20], whole[: len(whole) // 2], b"", bytes(flipped)):
            file.write_bytes(damaged)
            with pytest.raises(ValueError, match=file.name):
                finder().load_experiment(saved)
        file.write_bytes(whole)
    finder().load_experiment(saved)
    next(saved.glob("*-mask-*")).unlink()
    with pytest.raises(ValueError, match="is missing"):
        finder().load_experiment(saved)


def test_a_changed_figure_is_refused(saved: Path) -> None:
    document = json.loads((saved / "experiment.json").read_text())
    document["results"]["ticket_quality"] = 1.0
    (saved / "experiment.json").write_text(json.dumps(document))
    with pytest.raises(ValueError, match="was altered"):
        finder().load_experiment(saved)


def test_saving_over_an_experiment_leaves_the_new_one_alone(
    saved: Path, train_fn: Any, eval_fn: Any
) -> None:
    own = finder()
    *_, results = own.find_winning_ticket(None, train_fn, eval_fn, 0.5, 1, False, seed=9)
    own.save_experiment(saved, results)
    assert finder().load_experiment(saved)["target_sparsity"] == 0.5
    assert len(list(saved.iterdir())) == 4


def test_what_is_refused(tmp_path: Path, train_fn: Any, eval_fn: Any) -> None:
    with pytest.raises(ValueError, match="there is no ticket to verify"):
        finder().verify_random_ticket(train_fn, eval_fn)
    with pytest.raises(FileNotFoundError):
        finder().load_experiment(tmp_path)
    with pytest.raises(ValueError, match="train_fn is missing"):
        finder().find_winning_ticket()
    own = finder()
    own.find_winning_ticket(None, train_fn, eval_fn, 0.5, 1, verbose=False)
    with pytest.raises(ValueError, match="seed 0 gives the ticket's own weights"):
        own.verify_random_ticket(train_fn, eval_fn, seed=0)
    with pytest.raises(ValueError, match="control is 'shuffled': use 'reinit' or 'random'"):
        own.verify_random_ticket(train_fn, eval_fn, control="shuffled")  # type: ignore[arg-type]
    own.model_kwargs["hidden"] = 8
    with pytest.raises(ValueError, match="the ticket does not fit"):
        own.verify_random_ticket(train_fn, eval_fn)
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="use 'cpu'"):
            LotteryTicketFinder(network, {}, "cuda")


def test_a_control_must_be_kept_sparse_too(train_fn: Any, eval_fn: Any) -> None:
    def forgetful(model: nn.Module, mask: Any) -> None:
        with torch.no_grad():
            model.get_parameter("0.weight").add_(1)

    own = finder()
    own.find_winning_ticket(None, train_fn, eval_fn, 0.5, 1, verbose=False)
    with pytest.raises(ValueError, match="train_fn of the control 'reinit' left"):
        own.verify_random_ticket(forgetful, eval_fn)
