"""The demo runs on digits, goes on where it stopped, and sets nothing beside figures that do not belong there."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[3] / "examples" / "lottery_ticket_demo.py"


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lottery_ticket_demo", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_quick(demo: ModuleType, tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    options = ["--quick", "--epochs", "1", "--rounds", "1", "--output", str(tmp_path)]
    demo.main(options)
    told = capsys.readouterr().out
    assert told.count(", quality ") == 4
    assert "| reinit: the ticket's mask, new weights by the same law | 26,374 of 263,744 |" in told
    assert "52.77" not in told
    first = json.loads((tmp_path / "results.json").read_text())
    assert set(first["accuracy"]) == {"dense", "ticket", "reinit", "random"}
    assert [one["kept"] for one in first["levels"]] == [263_744, 26_374]
    assert "| 1 | 26,374 | 90.00 |" in told
    assert (tmp_path / "quality.png").read_bytes().startswith(b"\x89PNG")
    assert all(len(each) == 2 and min(each) > 0.05 for each in first["accuracy"].values())
    assert first["accuracy"]["dense"][0] > 0.5

    def never(*_: Any) -> Any:
        pytest.fail("trained again")

    monkeypatch.setattr(demo, "cross_entropy", never)
    demo.main(options)
    assert json.loads((tmp_path / "results.json").read_text()) == first
    saved = json.loads((tmp_path / "seed0" / "experiment.json").read_text())
    assert [one["kind"] for one in saved["results"]["controls"]] == ["reinit", "random"]
    with pytest.raises(SystemExit, match="holds runs with other settings"):
        demo.main([*options, "--lr", "0.1"])


def test_claims_stand_beside_cifar10_alone(demo: ModuleType) -> None:
    arms = {arm: {0: 0.7, 1: 0.72, 2: 0.71} for arm in demo.ARMS}
    arms["reinit"] = {0: 0.65, 1: 0.66, 2: 0.64}
    levels = [demo.Level(kept, 100, demo.estimate([0.7, 0.72, 0.71])) for kept in (100, 10)]
    text = demo.report(arms, levels, [], cifar10=True)
    for figure in ("79.83", "80.44", "52.77", "+27.67"):
        assert figure in text
        assert figure not in demo.report(arms, levels, [], cifar10=False)
    assert "differs from 0; the claim lies outside of the interval" in text


def test_without_cifar10_digits_take_its_place(
    demo: ModuleType, monkeypatch: Any, capsys: Any, tmp_path: Path
) -> None:
    taken = demo.data.load

    def load(spec: Any, device: Any) -> Any:
        if spec.name == "cifar10":
            raise demo.BadSpec("dataset 'cifar10' is not there: set TICKETSMITH_DATA")
        return taken(spec, device)

    monkeypatch.setattr(demo.data, "load", load)
    loaded, source = demo.load(demo.arguments(["--output", str(tmp_path), "--device", "cpu"]))
    assert loaded.name == "digits"
    assert source.startswith("digits of scikit-learn: ")
    assert "CIFAR-10 is not there" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--sparsity", "1.5"], "use a fraction between 0 and 1"),
        (["--epochs", "0"], "--epochs is 0: use 1 or more"),
        (["--seeds", "1", "1"], "names a seed twice"),
    ],
)
def test_bad_options(demo: ModuleType, options: list[str], sentence: str, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        demo.main(options)
    assert sentence in capsys.readouterr().err
