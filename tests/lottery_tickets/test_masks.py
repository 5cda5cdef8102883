"""Masks in memory and on disk."""

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from lottery_tickets import masks
from lottery_tickets.masks import Mask
from lottery_tickets.modules import prunable


def bits(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.bool)


def test_apply_leaves_plus_zero_even_where_weights_are_negative_or_broken() -> None:
    weights = {
        "w": nn.Parameter(torch.tensor([-1.0, torch.nan, torch.inf, 2.0])),
        "b": torch.ones(2),
    }
    masks.apply(weights, {"w": bits(0, 0, 0, 1)})
    assert weights["w"].tolist() == [0.0, 0.0, 0.0, 2.0]
    assert not torch.signbit(weights["w"]).any()
    assert weights["b"].tolist() == [1.0, 1.0]
    assert weights["w"].requires_grad


def test_apply_reaches_tied_weights_by_either_name() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    masks.apply(model, {"1.weight": torch.zeros(2, 2, dtype=torch.bool)})
    assert not model[0].weight.any()


def test_apply_lists_all_that_does_not_fit_and_changes_nothing() -> None:
    weights = {"a": torch.ones(2), "b": torch.ones(2)}
    with pytest.raises(ValueError, match=r"'b' is \(3,\).*'c'"):
        masks.apply(weights, {"a": bits(0, 0), "b": bits(0, 0, 0), "c": bits(1)})
    assert weights["a"].tolist() == [1.0, 1.0]


def test_counts_and_sparsity() -> None:
    mask = {"a": bits(1, 0, 0), "b": bits(1)}
    assert masks.counts(mask) == {"a": (1, 3), "b": (1, 1)}
    assert masks.sparsity(mask) == 0.5
    assert masks.sparsity({}) == 0.0
    assert masks.sparsity(masks.full(prunable(nn.Linear(3, 4)))) == 0.0


def test_is_subset() -> None:
    parent = {"a": bits(1, 0, 1)}
    assert masks.is_subset({"a": bits(1, 0, 0)}, parent)
    assert not masks.is_subset({"a": bits(0, 1, 0)}, parent)
    with pytest.raises(ValueError, match=r"'a' has no mask.*'b'"):
        masks.is_subset({"b": bits(1)}, parent)


@st.composite
def any_mask(draw: st.DrawFn) -> Mask:
    shapes = draw(st.lists(st.lists(st.integers(0, 6), max_size=3), max_size=4))
    mask = {}
    for i, shape in enumerate(shapes):
        count = math.prod(shape)
        kept = draw(st.lists(st.booleans(), min_size=count, max_size=count))
        mask[f"layer{9 - i}.weight"] = torch.tensor(kept, dtype=torch.bool).view(shape)
    return mask


@given(mask=any_mask())
def test_what_is_saved_is_loaded(tmp_path_factory: pytest.TempPathFactory, mask: Mask) -> None:
    folder = tmp_path_factory.mktemp("mask")
    masks.save(mask, folder / "mask.safetensors")
    loaded = masks.load(folder / "mask.safetensors")
    assert list(loaded) == list(mask)
    for name, kept in mask.items():
        assert loaded[name].dtype == torch.bool
        assert torch.equal(loaded[name], kept)
    assert [file.name for file in folder.iterdir()] == ["mask.safetensors"]


def test_the_file_holds_a_bit_a_weight_in_the_documented_order(tmp_path: Path) -> None:
    file = tmp_path / "mask.safetensors"
    masks.save({"w": bits(1, 0, 0, 0, 0, 0, 0, 1, 1)}, file)
    with safe_open(file, framework="pt") as stored:
        assert stored.get_tensor("w").tolist() == [0b1000_0001, 0b0000_0001]
        assert json.loads(stored.metadata()["lottery_tickets.mask"])["shapes"] == {"w": [9]}


def test_equal_masks_are_equal_files(tmp_path: Path) -> None:
    mask = {f"w{i}": torch.rand(10, 10) > 0.5 for i in range(8)}
    for name in ("a", "b"):
        masks.save(mask, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_any_damage_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "mask.safetensors"
    masks.save({"a": torch.rand(9, 9) > 0.5, "b": torch.rand(5) > 0.5}, file)
    whole = file.read_bytes()
    for position in range(len(whole)):
        altered = bytearray(whole)
        altered[position] ^= 0x11
        file.write_bytes(altered)
        with pytest.raises(ValueError, match=r"mask\.safetensors is (not a whole mask|damaged)"):
            masks.load(file)
    for length in range(0, len(whole), 7):
        file.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"mask\.safetensors"):
            masks.load(file)


def test_other_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    save_file({"w": torch.ones(3)}, file)
    with pytest.raises(ValueError, match="not a whole mask file"):
        masks.load(file)
    with pytest.raises(FileNotFoundError):
        masks.load(tmp_path / "absent")
    with pytest.raises(ValueError, match=r"instead of torch\.bool"):
        masks.save({"w": torch.ones(3)}, file)
