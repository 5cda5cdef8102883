"""Prices: what a placement costs, and a price list that changes, breaks and is mended under a running operator."""

import logging
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from ticketsmith.experiment.placement import RunnerSpec
from ticketsmith.experiment.problems import BadSpec
from ticketsmith_operator.money.prices import PriceFile, PriceList, read_prices

EXAMPLES = Path(__file__).parents[2] / "examples" / "cluster"
GPU, SPOT = "cloud.google.com/gke-accelerator", "cloud.google.com/gke-spot"
LIST = f"""
currency: USD
prices:
- {{match: {{{GPU}: t4}}, accelerator: t4, hourlyPerGpu: "0.35", hourlyPerPod: 0.10}}
- {{match: {{{GPU}: t4, {SPOT}: "true"}}, accelerator: t4, capacity: spot, hourlyPerGpu: "0.11", hourlyPerPod: "0.03"}}
- {{match: {{{SPOT}: "true"}}, accelerator: cpu, capacity: spot, hourlyPerPod: "0.02"}}
- {{match: {{{GPU}: a100}}, accelerator: a100, hourlyPerGpu: "2.5"}}
- {{accelerator: cpu, hourlyPerPod: "0.05"}}
"""


def runner(selector: dict[str, str] | None = None, **limits: int | str) -> RunnerSpec:
    named = {name.replace("_", "/"): amount for name, amount in limits.items()}
    return RunnerSpec.model_validate(
        {"nodeSelector": selector or {}, "resources": {"limits": named}}
    )


def gpu(count: int, selector: dict[str, str]) -> RunnerSpec:
    return runner(selector, **{"nvidia.com_gpu": count})


@pytest.mark.parametrize(
    ("asked", "hourly", "gpus", "accelerator", "capacity"),
    [
        (gpu(1, {GPU: "t4"}), "0.45", 1, "t4", "on-demand"),
        (gpu(4, {GPU: "t4"}), "1.50", 4, "t4", "on-demand"),
        (gpu(1, {GPU: "t4", SPOT: "true"}), "0.14", 1, "t4", "spot"),
        (gpu(2, {GPU: "t4", SPOT: "true", "disk": "ssd"}), "0.25", 2, "t4", "spot"),
        (gpu(1, {GPU: "t4", SPOT: "false"}), "0.45", 1, "t4", "on-demand"),
        (gpu(8, {GPU: "a100"}), "20.0", 8, "a100", "on-demand"),
        (runner({GPU: "t4"}), "0.10", 0, "t4", "on-demand"),
        (runner({GPU: "a100"}), None, 0, "a100", "on-demand"),
        (runner({SPOT: "true"}), "0.02", 0, "cpu", "spot"),
        (runner(), "0.05", 0, "cpu", "on-demand"),
        (runner(cpu="4"), "0.05", 0, "cpu", "on-demand"),
        # The entry without labels matches, but says no price for GPUs.
        (gpu(2, {GPU: "h100"}), None, 2, "unknown", "on-demand"),
        (runner({GPU: "t4"}, **{"amd.com_gpu": 1}), "0.45", 1, "t4", "on-demand"),
        (runner({GPU: "t4"}, **{"nvidia.com_mig-1g.5gb": 3}), "1.15", 3, "t4", "on-demand"),
    ],
)
def test_the_entry_with_the_most_matching_labels_holds(
    asked: RunnerSpec, hourly: str | None, gpus: int, accelerator: str, capacity: str
) -> None:
    place = read_prices(LIST).place(asked)
    assert place.prices.hourly == (None if hourly is None else Decimal(hourly))
    assert place.prices.currency == (None if hourly is None else "USD")
    assert (place.prices.gpus, place.accelerator, place.capacity) == (gpus, accelerator, capacity)


@pytest.mark.parametrize(("count", "accelerator"), [(0, "cpu"), (2, "unknown")])
def test_what_no_entry_matches_has_an_unknown_price_but_its_gpus_count(
    count: int, accelerator: str
) -> None:
    place = PriceList().place(gpu(count, {GPU: "t4"}))
    assert (place.prices.hourly, place.prices.currency) == (None, None)
    assert (place.prices.gpus, place.accelerator) == (count, accelerator)


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}", "prices: []", "currency: EUR"])
def test_an_empty_list_is_a_list(text: str) -> None:
    assert read_prices(text).prices == ()


def entries(*listed: dict[str, Any]) -> str:
    defaults = {"accelerator": "x", "hourlyPerPod": "1"}
    return yaml.safe_dump({"currency": "USD", "prices": [{**defaults, **one} for one in listed]})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prices: [", "no YAML"),
        ("- 1", "the document of the price list is [1]"),
        ("prices: [{accelerator: cpu, hourlyPerPod: '1'}]", "currency is missing"),
        ("currency: dollars", 'currency of the price list is "dollars"'),
        (entries({"match": {SPOT: True}}), "is true: should be a valid string: write it in quotes"),
        (entries({"hourlyPerGPU": "1"}), "prices[0].hourlyPerGPU of the price list is not a field"),
        (entries({}, {"hourlyPerPod": "-1"}), 'prices[1].hourlyPerPod of the price list is "-1"'),
        (entries({"hourlyPerPod": "1,5"}), '"1,5"'),
        (entries({"capacity": "preemptible"}), "'spot' or 'on-demand'"),
        (entries({"match": {"not a label": "x"}}), "'not a label' is no label key"),
        (entries({"hourlyPerPod": None}), "add hourlyPerGpu, hourlyPerPod or both"),
        (entries({}, {}), "prices[0] and prices[1] match the same labels, {}"),
        (
            entries({"match": {"a": "1", "b": "2"}}, {}, {"match": {"b": "2", "a": "1"}}),
            'prices[0] and prices[2] match the same labels, {"a": "1", "b": "2"}: remove one',
        ),
    ],
)
def test_a_wrong_list_is_refused_in_one_sentence(text: str, words: str) -> None:
    with pytest.raises(BadSpec) as refused:
        read_prices(text)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("order", [1, -1], ids=["as written", "turned round"])
def test_of_equally_many_labels_the_first_entry_holds(order: int) -> None:
    one, other = {"match": {"a": "1"}}, {"match": {"b": "1"}, "capacity": "spot"}
    listed = read_prices(entries(*[one, other][::order]))
    place = listed.place(runner({"a": "1", "b": "1"}))
    assert place.capacity == ("on-demand" if order == 1 else "spot")


# --- the file ------------------------------------------------------------------------------------
def flat(price: str) -> str:
    return entries({"hourlyPerPod": price})


def hourly(prices: PriceFile) -> Decimal | None:
    return prices.current().place(runner()).prices.hourly


def test_without_a_file_nothing_has_a_price() -> None:
    assert hourly(PriceFile(None)) is None


def test_a_change_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(flat("1"))
    prices = PriceFile(file)
    assert hourly(prices) == 1
    file.write_text(flat("22"))
    assert hourly(prices) == 22


def test_an_unchanged_file_is_read_once(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(flat("1"))
    prices = PriceFile(file)
    assert prices.current() is prices.current()


def test_a_config_map_s_swapped_link_is_seen(tmp_path: Path) -> None:
    """As the kubelet mounts it: prices.yaml -> ..data/prices.yaml, ..data -> a folder that is replaced."""
    for price in ("1", "2"):
        (tmp_path / f"..v{price}").mkdir()
        (tmp_path / f"..v{price}" / "prices.yaml").write_text(flat(price))
    (tmp_path / "..data").symlink_to("..v1")
    (tmp_path / "prices.yaml").symlink_to("..data/prices.yaml")
    prices = PriceFile(str(tmp_path / "prices.yaml"))
    assert hourly(prices) == 1
    (tmp_path / "..data_tmp").symlink_to("..v2")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")
    assert hourly(prices) == 2


@pytest.mark.parametrize(
    "broken",
    [b"prices: [", b"currency: euros", b"\xff\xfe", None],
    ids=["yaml", "list", "utf8", "gone"],
)
def test_a_broken_file_leaves_the_last_good_prices_and_is_told_once(
    tmp_path: Path, broken: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(flat("1"))
    prices = PriceFile(file)
    assert hourly(prices) == 1
    caplog.set_level(logging.WARNING)
    if broken is None:
        file.unlink()
    else:
        file.write_bytes(broken)
    assert [hourly(prices) for _ in range(3)] == [1, 1, 1]
    assert len(caplog.records) == 1
    assert str(file) in caplog.text
    file.write_text(flat("333"))
    assert hourly(prices) == 333
    assert len(caplog.records) == 1


def test_a_file_that_is_missing_from_the_start_is_told_once_and_taken_when_it_comes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prices = PriceFile(tmp_path / "prices.yaml")
    assert [hourly(prices) for _ in range(2)] == [None, None]
    assert len(caplog.records) == 1
    (tmp_path / "prices.yaml").write_text(flat("1"))
    assert hourly(prices) == 1


def test_the_example_s_prices_tell_spot_from_on_demand() -> None:
    config_map = yaml.safe_load((EXAMPLES / "prices.yaml").read_text())
    prices = read_prices(config_map["data"]["prices.yaml"])
    document = yaml.safe_load((EXAMPLES / "spot-gpu.yaml").read_text())
    spot = prices.place(RunnerSpec.model_validate(document["spec"]["runner"]))
    del document["spec"]["runner"]["nodeSelector"][SPOT]
    on_demand = prices.place(RunnerSpec.model_validate(document["spec"]["runner"]))
    assert (spot.capacity, on_demand.capacity) == ("spot", "on-demand")
    assert spot.accelerator == on_demand.accelerator == "nvidia-tesla-t4"
    assert spot.prices.hourly is not None
    assert on_demand.prices.hourly is not None
    assert spot.prices.hourly < on_demand.prices.hourly
