"""Reports on what the pruning library returns: all of it told, no tensor dumped, pictures that hold what they say."""

import copy
import json
import math
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from PIL import Image
from pypdf import PdfReader
from torch import nn

import lottery_tickets
from ticketsmith.report.tickets import (
    control_bars,
    early_bird_distances,
    importance_maps,
    layer_sparsity,
    loss_landscape,
    pruning_rounds,
    rank_agreement,
    sparsity_curves,
    ticket_overlap,
    ticket_report,
)
from ticketsmith.report.tickets.importance import LAYERS, block_means, chosen
from ticketsmith.report.tickets.section import layer_name
from ticketsmith.report.tickets.summarised import plain, summary
from ticketsmith.report.tickets.write import render


def early_bird(mask: dict[str, torch.Tensor]) -> dict[str, Any]:
    checks = [
        {"epoch": 2, "distances": [], "agreement": None},
        {"epoch": 4, "distances": [0.4], "agreement": None},
        {"epoch": 6, "distances": [0.3, 0.2], "agreement": 0.7},
        {"epoch": 8, "distances": [0.06, 0.05], "agreement": 0.94},
    ]
    return {
        "converged": True,
        "convergence_epoch": 8,
        "final_mask": mask,
        "sparsity": 0.5,
        "epochs": 8,
        "checks": checks,
        "losses": [1.0, 0.5],
        "distance": "hamming",
        "convergence_threshold": 0.9,
    }


def rounds() -> dict[str, Any]:
    levels = [
        {"round": n, "sparsity": 1 - 0.8**n, "kept": 1000 - n, "quality": 0.9 - n / 100}
        for n in range(4)
    ]
    controls = [{"kind": "reinit", "quality": 0.7}, {"kind": "reinit", "quality": 0.8}]
    return {"rounds": levels, "controls": controls, "method": "iterative"}


def make() -> dict[str, Any]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    batch = (torch.randn(30, 8), torch.randint(3, (30,)))
    mask = lottery_tickets.prune(model, target_sparsity=0.5)
    generator = torch.Generator().manual_seed(0)

    def train(given: nn.Module, optimizer: Any) -> None:
        optimizer.step(lambda: _backward(given, batch))

    robust = lottery_tickets.compute_pruning_robustness
    return {
        "magnitude": robust(model, batch, [0.3, 0.6], generator=generator, return_masks=True),
        "random": robust(
            model, batch, scores=lottery_tickets.random(lottery_tickets.prunable(model), generator)
        ),
        "quality": lottery_tickets.compute_lottery_ticket_quality(model, mask, [batch]),
        "overlap": lottery_tickets.compute_ticket_overlap(
            mask, lottery_tickets.random_like(mask, generator)
        ),
        "correctness": lottery_tickets.validate_pruning_correctness(model, mask, [batch], 1.0),
        "plane": lottery_tickets.compute_loss_landscape(model, [batch], grid_points=5),
        "line": lottery_tickets.compute_loss_landscape(
            model, [batch], dimensions=1, grid_points=5, mask=mask
        ),
        "agreement": lottery_tickets.compute_optimizer_agreement(
            model, {"a": _sgd(0.1), "b": _sgd(0.5)}, train
        ),
        "controls": {
            "performance": {"ticket": 0.9, "reinit": 0.8, "shuffled": 0.7, "random": 0.6},
            "gap": {"reinit": 0.1, "shuffled": 0.2, "random": 0.3},
            "kept": dict.fromkeys(("ticket", "reinit", "shuffled", "random"), 10),
            "revived": {"ticket": 0, "reinit": 3, "shuffled": 0, "random": 0},
        },
        "early bird": early_bird(mask),
        "imp": rounds(),
        "a mask": lottery_tickets.PruningMask.of(mask),
        "scores": lottery_tickets.magnitude(lottery_tickets.prunable(model)),
        "<something> else": {"a": {"b": 1.5}, "weights": model[0].weight},
    }


def _sgd(rate: float) -> Callable[[Any], torch.optim.Optimizer]:
    return lambda weights: torch.optim.SGD(weights, lr=rate)


def _backward(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
    loss.backward()
    return loss


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    return make()


@pytest.fixture(scope="module")
def files(results: dict[str, Any]) -> dict[str, bytes]:
    return render(results)


def meshes(figure: Figure) -> list[Any]:
    return [
        one.get_array()
        for axes in figure.axes
        for one in axes.collections
        if isinstance(one, QuadMesh)
    ]


def labels(figure: Figure) -> list[str]:
    figure.draw_without_rendering()
    return [text.get_text() for axes in figure.axes for text in axes.texts]


# --- the files -----------------------------------------------------------------------------------
def test_every_result_is_told_in_every_file(
    files: dict[str, bytes], results: dict[str, Any]
) -> None:
    page, pdf = files["report.html"].decode(), PdfReader(BytesIO(files["report.pdf"]))
    printed = "".join(one.extract_text() for one in pdf.pages)
    for name in results:
        shown = name.replace("<", "&lt;").replace(">", "&gt;")
        assert f">{shown}</h2>" in page
        assert name in printed
    assert list(json.loads(files["results.json"])["results"]) == list(results)
    for said in (
        "The ticket does better by 0.1 than its best control, re-initialised.",
        "Training did not keep the mask (Re-initialised)",
        "The mask was stable after 8 epochs: it agrees with those before it to 0.94",
        "At 48.8% sparsity quality is 0.87, against 0.9 at 0.0%.",
        "Failed: pruned weights are zero and performance.",
    ):
        assert said in page
    pictures = {name for name in files if name.endswith(".png")}
    assert pictures == {
        "sparsity-curves.png",
        "magnitude-curve.png",
        "magnitude-layers.png",
        "random-curve.png",
        "overlap-overlap.png",
        "plane-landscape.png",
        "line-landscape.png",
        "agreement-agreement.png",
        "controls-controls.png",
        "early-bird-distances.png",
        "early-bird-final-layers.png",
        "imp-rounds.png",
        "a-mask-layers.png",
        "scores-importance.png",
    }
    assert page.count("<svg") == len(pictures)
    for name in pictures:
        assert min(Image.open(BytesIO(files[name])).size) > 200


def test_equal_results_give_equal_bytes(files: dict[str, bytes]) -> None:
    again = render(make())
    assert [name for name in files if files[name] != again[name]] == []


def test_it_is_written_where_asked_and_matplotlib_is_left_alone(
    results: dict[str, Any], tmp_path: Path
) -> None:
    before = dict(mpl.rcParams)
    page = ticket_report({"quality": results["quality"]}, str(tmp_path / "new" / "folder"))
    assert page == tmp_path / "new" / "folder" / "report.html"
    assert {one.name for one in page.parent.iterdir()} == {
        "report.html",
        "report.pdf",
        "results.json",
    }
    assert 'class="verdict">At 50.0% sparsity' in page.read_text()
    assert dict(mpl.rcParams) == before


def test_names_that_would_be_one_file_are_kept_apart(results: dict[str, Any]) -> None:
    mask = results["a mask"]
    found = render({"Mask": mask, "mask": mask, "mask!": mask})
    assert {name for name in found if name.endswith(".png")} == {
        "mask-layers.png",
        "mask-2-layers.png",
        "mask-3-layers.png",
    }


def test_nothing_to_report_on_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="results is empty: give at least one"):
        ticket_report({}, tmp_path)
    with pytest.raises(ValueError, match="results has the name 3"):
        ticket_report({3: {}}, tmp_path)  # type: ignore[dict-item]
    assert not list(tmp_path.iterdir())


# --- JSON ----------------------------------------------------------------------------------------
def test_no_weight_is_dumped(files: dict[str, bytes]) -> None:
    told = json.loads(files["results.json"])["results"]
    assert told["<something> else"]["weights"]["shape"] == [16, 8]
    assert told["scores"]["0.weight"].keys() >= {"mean", "std", "min", "max", "zeros"}
    assert told["a mask"]["0.weight"]["kept"] + told["a mask"]["2.weight"]["kept"] == 88
    assert told["magnitude"]["masks"]["0.3"]["0.weight"]["tensor"] == "bool"
    assert np.shape(told["plane"]["loss"]) == (5, 5)
    assert told["plane"]["x"] == [-1, -0.5, 0, 0.5, 1]


def test_summaries_are_what_tensors_hold() -> None:
    values = torch.tensor([[1.0, 0.0], [-3.0, math.inf]])
    assert summary(values) == {
        "tensor": "float32",
        "shape": [2, 2],
        "mean": pytest.approx(-2 / 3),
        "std": pytest.approx(float(np.std([1, 0, -3]))),
        "min": -3,
        "max": 1,
        "zeros": 1,
        "not_finite": 1,
    }
    assert summary(torch.ones(3).bool())["sparsity"] == 0
    assert summary(torch.ones(2, 0)) == {"tensor": "float32", "shape": [2, 0]}
    assert summary(torch.ones(2, device="meta")) == {"tensor": "float32", "shape": [2]}
    assert plain(torch.rand(200, 200), "loss")["shape"] == [200, 200]


def test_other_things_become_json_too() -> None:
    told = plain({"a": (1, math.nan, {2}), "p": Path("x"), 3: nn.Linear(1, 1), "n": np.float64(2)})
    assert told == {"a": [1, None, [2]], "p": "x", "3": {"type": "Linear"}, "n": 2.0}
    found = lottery_tickets.ensure_deterministic_pruning(1)
    found.undo()
    assert plain(found).keys() == {"seed", "seeded", "settings", "cautions"}


# --- pictures ------------------------------------------------------------------------------------
def test_curves_draw_what_was_measured(results: dict[str, Any]) -> None:
    one = results["magnitude"]
    lines = {line.get_label(): line for line in sparsity_curves({"m": one}).axes[0].lines}
    x, y = lines["Pruned"].get_data()
    points = list(one["sparsity_curves"].values())
    assert list(x) == [1, *(1 / (1 - point["sparsity"]) for point in points)]
    assert list(y) == [100, *(100 * point["performance_retention"] for point in points)]
    assert list(lines["Random, same layers"].get_ydata())[1:] == [
        100 * point["random_retention"] for point in points
    ]
    both = sparsity_curves({"m": one, "r": results["random"]})
    assert {"m", "r"} <= {str(line.get_label()) for line in both.axes[0].lines}


def test_layers_draw_their_sparsity() -> None:
    mask = {"a.weight": torch.tensor([True, False, False, False]), "b.weight": torch.ones(4).bool()}
    figure = layer_sparsity(mask)
    widths = [patch.get_width() for patch in figure.axes[0].patches]
    assert widths == [100, 100, 75, 0]
    assert labels(figure) == ["whole network 37.5%", "75.0%", "0.0%"]
    many = layer_sparsity({f"layer{n}": torch.ones(1).bool() for n in range(200)})
    assert many.get_size_inches()[1] <= 9
    assert len(many.axes[0].get_yticks()) <= 60


@pytest.mark.parametrize("shape", [(5, 7), (100, 130), (6, 2, 3, 3), (300,), (1, 1)])
def test_blocks_are_means_of_their_weights(shape: tuple[int, ...]) -> None:
    scores = torch.randn(shape)
    table = scores.reshape(1, -1) if len(shape) == 1 else scores.reshape(shape[0], -1)
    found = block_means(scores, cells=6)
    wanted = [
        [float(block.mean()) for block in torch.tensor_split(rows, min(6, rows.shape[1]), dim=1)]
        for rows in torch.tensor_split(table, min(6, len(table)))
    ]
    assert found == pytest.approx(np.array(wanted), abs=1e-6)


def test_importance_is_bounded_and_on_one_scale() -> None:
    scores = {f"layer{n}": torch.rand(60, 3) * 10**n for n in range(20)}
    assert len(chosen(scores)) == LAYERS
    assert chosen(scores)[:: LAYERS - 1] == ["layer0", "layer19"]
    images = [one for axes in importance_maps(scores).axes for one in axes.images]
    assert len(images) == LAYERS
    assert len({(one.norm.vmin, one.norm.vmax) for one in images}) == 1
    assert {np.shape(one.get_array()) for one in images} == {(48, 3)}
    signed = importance_maps({"a": torch.tensor([[-2.0, 1.0]])}).axes[0].images[0]
    assert (signed.norm.vmin, signed.norm.vmax) == (-2, 2)
    for flat in (torch.zeros(2, 2), torch.ones(2, 2), torch.full((2, 2), math.nan)):
        importance_maps({"a": flat}).draw_without_rendering()


def test_overlap_stands_beside_chance(results: dict[str, Any]) -> None:
    one = results["overlap"]
    lines = {line.get_label(): line for line in ticket_overlap(one).axes[0].lines}
    assert list(lines["These two masks"].get_xdata()) == [
        one["overall_overlap"],
        *one["layer_overlaps"].values(),
    ]
    assert lines["By chance"].get_xdata()[0] == one["expected_by_chance"]


def test_distances_lie_where_their_masks_are(results: dict[str, Any]) -> None:
    figure = early_bird_distances(results["early bird"])
    matrix = np.ma.filled(meshes(figure)[0].astype(float), math.nan)
    nan = math.nan
    wanted = np.array([[0.4, nan, nan], [0.3, 0.2, nan], [nan, 0.06, 0.05]])
    assert np.array_equal(matrix.reshape(3, 3), wanted, equal_nan=True)
    assert labels(figure) == ["0.4", "0.3", "0.2", "0.06", "0.05"]
    nothing = {**results["early bird"], "checks": [], "converged": False}
    early_bird_distances(nothing).draw_without_rendering()


def test_landscapes_of_one_and_two_dimensions(results: dict[str, Any]) -> None:
    line = loss_landscape(results["line"]).axes[0].lines[0]
    assert list(line.get_ydata()) == results["line"]["loss"].tolist()
    assert (
        loss_landscape(results["plane"]).axes[0].get_xlabel() == "first direction, in filter norms"
    )
    broken = copy.copy(results["plane"])
    broken["loss"] = broken["loss"].clone()
    broken["loss"][0, 0] = math.inf
    broken["loss"][1, 1] *= 100
    assert "log scale" in loss_landscape(broken).axes[1].get_ylabel()
    assert "At 1 points the loss is no number" in render({"x": broken})["report.html"].decode()
    flat = {**results["plane"], "loss": torch.ones(5, 5)}
    loss_landscape(flat).draw_without_rendering()


def test_x_and_y_of_a_landscape_are_not_mixed_up(results: dict[str, Any]) -> None:
    """Loss that grows along x alone has contours that run up and down."""
    slope = {**results["plane"], "loss": torch.arange(5.0).view(5, 1).expand(5, 5)}
    lines = [one for one in loss_landscape(slope).axes[0].collections if len(one.get_paths()) > 1]
    for path in lines[-1].get_paths():
        if len(path.vertices):
            assert np.ptp(path.vertices[:, 0]) < 1e-6 < np.ptp(path.vertices[:, 1])


def test_agreement_rounds_and_controls(results: dict[str, Any]) -> None:
    one = results["agreement"]
    left, right = meshes(rank_agreement(one))
    assert np.allclose(np.ravel(left), one["spearman"].flatten())
    assert np.allclose(np.ravel(right), one["top_k_overlap"].flatten())
    lines = {line.get_label(): line for line in pruning_rounds(results["imp"]).axes[0].lines}
    assert list(lines["Ticket"].get_ydata()) == pytest.approx([0.9, 0.89, 0.88, 0.87])
    assert list(lines["Re-initialised"].get_ydata()) == [0.7, 0.8]
    assert labels(control_bars(results["controls"])) == ["0.9", "0.8", "0.7", "0.6"]


def test_long_names_keep_their_end() -> None:
    assert layer_name("fc.weight") == "fc"
    short = layer_name("model.layers.10.self_attention.output_projection.weight", 20)
    assert len(short) == 20
    assert short.endswith("output_projection")
