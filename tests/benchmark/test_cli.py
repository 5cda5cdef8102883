import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from ticketsmith.benchmark import inputs
from ticketsmith.benchmark.cli import command
from ticketsmith.benchmark.table import spoken
from ticketsmith.experiment.contract import Timing
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.spec import DatasetSpec, ModelSpec

Ladder = tuple[str, Sequence[str]]
QUICK = ["--repeats", "5", "--warmup", "1", "--batch-sizes", "1,4"]


def invoke(*arguments: str) -> Result:
    app = typer.Typer()
    app.command("benchmark")(command)
    return CliRunner().invoke(app, arguments)


def test_a_ticket_is_timed_beside_the_dense_network_it_came_from(
    tmp_path: Path, ladder: Ladder
) -> None:
    result = invoke(str(tmp_path / "store" / ladder[1][0]), *QUICK)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split()[:2] == ["NETWORK", "SPARSITY"]
    names = [line.split("  ")[0] for line in lines[1:7]]
    assert names == ["dense-s0", "dense-s0 again", "ticket-s0-50"] * 2
    assert "baseline" in lines[1]
    assert "null control" in lines[2]
    assert "DENSE BYTES" in result.stdout
    assert "test images of" in lines[-1]


def test_json_is_the_document(tmp_path: Path, ladder: Ladder) -> None:
    folders = [str(tmp_path / "store" / key) for key in ladder[1]]
    result = invoke(*folders, *QUICK, "-o", "json")
    document = json.loads(result.stdout)
    assert {t["round"] for t in document["timings"]} == {ladder[0], *ladder[1]}
    assert document["repeats"] == 5


def test_the_dense_network_can_be_named(
    tmp_path: Path, ladder: Ladder, save: Callable[..., str]
) -> None:
    other = save(seed=7)
    result = invoke(
        str(tmp_path / "store" / ladder[1][0]),
        "--dense",
        str(tmp_path / "store" / other),
        *QUICK,
        "-o",
        "json",
    )
    assert json.loads(result.stdout)["timings"][0]["round"] == other


def test_networks_of_another_kind_are_refused(
    tmp_path: Path, ladder: Ladder, save: Callable[..., str]
) -> None:
    other = save(model=ModelSpec(name="conv2"))
    result = invoke(*(str(tmp_path / "store" / key) for key in (ladder[1][0], other)), *QUICK)
    assert isinstance(result.exception, BadSpec)
    assert "has model 'conv2'" in str(result.exception)


@pytest.mark.parametrize("sizes", ["", "0", "1,x", "1,,2", "70000"])
def test_bad_batch_sizes_are_told(tmp_path: Path, ladder: Ladder, sizes: str) -> None:
    result = invoke(str(tmp_path / "store" / ladder[1][0]), "--batch-sizes", sizes)
    assert isinstance(result.exception, BadSpec)
    assert f"--batch-sizes {sizes!r}" in str(result.exception)


def test_a_folder_that_is_no_artifact_is_told(tmp_path: Path) -> None:
    result = invoke(str(tmp_path))
    assert isinstance(result.exception, BadSpec)
    assert "is no finished artifact" in str(result.exception)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (1.01, 1.3, "1.20x [1.01, 1.30] faster"),
        (1.0, 1.3, "no speedup: 1.20x [1.00, 1.30]"),
        (0.98, 1.3, "no speedup: 1.20x [0.98, 1.30]"),
        (0.8, 0.99, "no speedup: 1.20x [0.80, 0.99] (slower)"),
    ],
)
def test_a_speedup_is_spoken_of_only_where_the_interval_lies_above_one(
    low: float, high: float, said: str
) -> None:
    timing = Timing(
        round="0" * 16,
        batch_size=1,
        path="dense",
        p50_ms=1.0,
        p95_ms=1.0,
        speedup=1.2,
        low=low,
        high=high,
    )
    assert spoken(timing) == said


def test_without_the_data_random_images_of_its_shape_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    dataset = DatasetSpec(name="mnist", uri=str(tmp_path / "nowhere"))
    fed = inputs.load(dataset, torch.device("cpu"), 4)
    assert fed.batch(7).shape == (7, 1, 28, 28)
    assert "random" in fed.source


def test_batches_larger_than_the_split_begin_again() -> None:
    import torch

    fed = inputs.load(DatasetSpec(name="digits"), torch.device("cpu"), 5000)
    batch = fed.batch(2 * len(fed.images))
    assert torch.equal(batch[: len(fed.images)], batch[len(fed.images) :])
