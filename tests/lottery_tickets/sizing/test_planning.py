"""What is chosen, what is refused, and the tables of both."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lottery_tickets import available_memory, memory_tables, plan_memory, predict_peak
from lottery_tickets.sizing import available

MB = 10**6


def network(width: int = 1024) -> nn.Sequential:
    with torch.device("meta"):
        return nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.Linear(width, width), nn.Linear(width, 10)
        )


def batch(width: int = 1024) -> tuple[Tensor, Tensor]:
    return torch.zeros(1, 50, width), torch.zeros(1, 50, 10)


def test_the_largest_power_of_two_that_fits_is_chosen() -> None:
    model = network()
    plan = plan_memory(model, "imp", 60 * MB, 100 * MB, batch(), reserve=0)
    assert plan.batch_size
    chosen = plan.batch_size

    def needed(samples: int) -> int:
        return predict_peak(model, "imp", batch(), batch_size=samples).device_bytes

    assert needed(chosen) <= 60 * MB < needed(2 * chosen)
    assert plan.prediction.device_bytes == needed(chosen)
    assert chosen & (chosen - 1) == 0
    assert f"batch {chosen} is the largest power of two that fits" in plan.why
    assert plan.why.count(".") >= 1
    less = plan_memory(model, "imp", 60 * MB, 100 * MB, batch(), reserve=0.4)
    assert less.batch_size is not None
    assert less.batch_size < chosen


def test_scores_go_to_the_host_only_where_they_must() -> None:
    model = network(4096)  # 134 MB of weights, 134 MB of scores, a gradient of 67 MB
    wide = plan_memory(model, "fisher", 2000 * MB, 2000 * MB, batch(4096), max_batch_size=4)
    assert (wide.placement, wide.options["store"]) == ("device", "device")
    assert wide.batch_size == 4
    assert "largest that was to be tried" in wide.why
    narrow = plan_memory(model, "fisher", 300 * MB, 2000 * MB, batch(4096), max_batch_size=4)
    assert (narrow.placement, narrow.options["store"]) == ("host", "host")
    assert narrow.prediction.host_parts["scores"] == 4 * (2 * 4096**2 + 40_960)
    assert narrow.chunk_size == 1 << 19
    assert "on the host" in narrow.why
    with pytest.raises(
        ValueError,
        match=r"fisher does not fit at batch 1.* most on the host are .*: use a larger host",
    ):
        plan_memory(model, "fisher", 300 * MB, 100 * MB, batch(4096))


def test_the_landscape_keeps_its_directions_where_there_is_room() -> None:
    model = network(4096)
    roomy = plan_memory(model, "landscape", 2000 * MB, 2000 * MB, batch(4096), max_batch_size=2)
    tight = plan_memory(model, "landscape", 400 * MB, 2000 * MB, batch(4096), max_batch_size=2)
    tightest = plan_memory(model, "landscape", 280 * MB, 2000 * MB, batch(4096), max_batch_size=2)
    chosen = [(p.options["store_directions"], p.placement) for p in (roomy, tight, tightest)]
    assert chosen == [(True, "device"), (False, "device"), (False, "host")]
    assert roomy.grid_points == roomy.options["grid_points"] == 21


def test_given_options_are_not_chosen() -> None:
    model = network(4096)
    plan = plan_memory(model, "fisher", 2000 * MB, 2000 * MB, batch(4096), store="host")
    assert plan.options["store"] == "host"
    with pytest.raises(
        ValueError,
        match=r"most on the device are weights \(\S+ MB\): use a larger device, or use weights of 16 bits$",
    ):
        plan_memory(model, "fisher", 100 * MB, 2000 * MB, batch(4096), store="device")
    with pytest.raises(
        ValueError, match=r"most on the device are weights \(\S+ MB\): use a larger device$"
    ):
        plan_memory(model.bfloat16(), "magnitude", 50 * MB, 2000 * MB)


def test_what_does_not_fit_is_refused_with_bytes_and_a_remedy() -> None:
    with pytest.raises(
        ValueError,
        match=r"imp does not fit at batch 1: at least [\d,]{9,} bytes are predicted on cuda, where 30,000,000 are "
        r"available and [\d,]+ on the host, .*; most on the device are optimizer .*: use a larger device, or use "
        r"optimizer='sgd'",
    ):
        plan_memory(network(), "imp", 30 * MB, 100 * MB, batch(), optimizer="adamw")
    with pytest.raises(ValueError, match="max_batch_size is 0"):
        plan_memory(network(), "imp", 30 * MB, max_batch_size=0)
    with pytest.raises(ValueError, match="reserve is 1"):
        plan_memory(network(), "imp", 30 * MB, reserve=1)
    with pytest.raises(ValueError, match="method is 'prune'"):
        plan_memory(network(), "prune")  # type: ignore[arg-type]


def test_without_an_example_there_is_no_batch_size() -> None:
    plan = plan_memory(network(), "fisher", 100 * MB, 100 * MB)
    assert plan.batch_size is None
    assert "no batch size was chosen" in plan.why
    assert "not counted" in plan.prediction.activations
    assert "takes no batch" in plan_memory(network(), "magnitude", 100 * MB).why


def test_on_a_cpu_nothing_is_put_on_a_host() -> None:
    model = network(2048)
    plan = plan_memory(model, "landscape", 500 * MB, None, batch(2048), device="cpu")
    assert plan.placement == "device"
    assert plan.prediction.host_bytes == 0
    assert plan_memory(model, "magnitude", device="cpu").prediction.device_bytes < 10**9


def test_the_tables_are_computed() -> None:
    models = {"small": (network(256), batch(256)), "large": (network(), batch())}
    text = memory_tables(models, {"10 MB": 10 * MB, "1 GB": 10**9}, max_batch_size=2)
    rows = {line.split(" | ")[0].strip("| "): line for line in text.splitlines()}
    assert rows["peak GB, batch 1"].count("billion weights") == 2
    assert rows["magnitude"] == "| magnitude | 0.0 | 0.0 |"
    fits = [line for line in text.splitlines() if line.startswith(("| small", "| large"))]
    assert len(fits) == 4
    assert fits[2].startswith("| large | 10 MB | does not fit |")
    assert fits[1].startswith("| small | 1 GB | batch 2 | batch 2 | batch 2 | batch 2 | batch 2 |")
    assert fits[1].endswith("| 524,288 | 21 |")
    with pytest.raises(ValueError, match="models or devices are empty"):
        memory_tables(models, {})


def test_a_method_that_cannot_be_rehearsed_does_not_end_the_table() -> None:
    with torch.device("meta"):
        odd = nn.Sequential(nn.Conv3d(1, 2, 3), nn.Flatten(), nn.Linear(2, 2))
    data = torch.zeros(1, 1, 3, 3, 3), torch.zeros(1, 2)
    text = memory_tables({"odd": (odd, data)}, {"1 GB": 10**9}, methods=["wanda"])
    assert "not rehearsed (wanda knows Linear" in text


def test_available_memory_is_the_least_of_the_bounds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = available_memory()
    assert 10 * MB < found < 10**15
    assert available_memory(torch.device("cpu")) > 0
    monkeypatch.setattr(available, "_number", lambda file: {"memory.max": 500}.get(file.name, 300))
    monkeypatch.setattr(available, "_field", lambda _, name: 50 if name == "inactive_file" else 9)
    assert available_memory() == 250
    with pytest.raises(ValueError, match="known of 'cpu' and 'cuda'"):
        available_memory("meta")
