"""A mask as an object."""

from pathlib import Path

import pytest
import torch
from torch import nn

from lottery_tickets import (
    PruningMask,
    apply,
    create_magnitude_mask,
    is_subset,
    load,
    prune,
    random_like,
)


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 2))


def test_it_begins_by_keeping_all() -> None:
    mask = PruningMask(net())
    assert list(mask) == ["0.weight", "1.weight"]
    assert (mask.sparsity, mask.layer_sparsities) == (0.0, {"0.weight": 0.0, "1.weight": 0.0})
    assert list(PruningMask(net(), exclude=["1"])) == ["0.weight"]


def test_it_knows_its_sparsity() -> None:
    mask = PruningMask.of({"a": torch.tensor([True, False]), "b": torch.ones(6, dtype=torch.bool)})
    assert mask.sparsity == 0.125
    assert mask.layer_sparsities == {"a": 0.5, "b": 0.0}
    assert repr(mask) == "PruningMask(2 tensors, 7 of 8 weights kept, 12.50% pruned)"
    assert repr(PruningMask.of({})) == "PruningMask(0 tensors, 0 of 0 weights kept, 0.00% pruned)"


def test_it_is_taken_wherever_a_mask_is() -> None:
    model = net()
    plain = create_magnitude_mask(model, 0.5)
    mask = PruningMask(plain)
    assert mask == plain
    assert plain == mask
    assert mask != {**plain, "0.weight": ~plain["0.weight"]}
    assert mask != {"0.weight": plain["0.weight"]}
    assert mask != 3
    assert is_subset(prune(model, target_sparsity=0.8, mask=mask), mask)
    assert random_like(mask, torch.Generator()).keys() == mask.keys()
    apply(model, mask)
    assert int(torch.count_nonzero(model[0].weight)) == int(plain["0.weight"].sum())


def test_apply_zeroes_what_is_pruned_and_nothing_else() -> None:
    model, again = net(), net()
    mask = PruningMask(create_magnitude_mask(model, 0.5))
    mask.apply(model)
    for name, kept in mask.items():
        weight = model.get_parameter(name)
        assert torch.equal(weight, torch.where(kept, again.get_parameter(name), 0))
    assert torch.equal(model[0].bias, again[0].bias)


def test_saved_and_loaded_whatever_the_file_is_called(tmp_path: Path) -> None:
    file = tmp_path / "mask.pt"
    mask = PruningMask(create_magnitude_mask(net(), 0.5))
    mask.save(file)
    assert load(file) == mask, "safetensors, not pickle"
    assert len(file.read_bytes()) < 400
    fresh = PruningMask(net())
    assert fresh.load(file) is fresh
    assert fresh == mask
    assert PruningMask.from_file(file) == mask


def test_a_mask_of_another_network_is_refused_in_full_and_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "mask.pt"
    PruningMask(nn.Sequential(nn.Linear(6, 5), nn.Linear(4, 2), nn.Linear(2, 2))).save(file)
    mask = PruningMask(create_magnitude_mask(net(), 0.5))
    before = dict(mask)
    with pytest.raises(ValueError, match=r"mask\.pt is the mask of another network") as refused:
        mask.load(file)
    assert "'0.weight' is (5, 6) for a tensor of (4, 6)" in str(refused.value)
    assert "'2.weight' is not among the tensors" in str(refused.value)
    assert mask == before


@pytest.mark.parametrize("damage", ["cut", "altered", "pickled"])
def test_a_broken_file_is_refused_and_changes_nothing(damage: str, tmp_path: Path) -> None:
    file = tmp_path / "mask.pt"
    mask = PruningMask(create_magnitude_mask(net(), 0.5))
    mask.save(file)
    whole = bytearray(file.read_bytes())
    if damage == "pickled":
        torch.save(dict(mask), file)
    else:
        whole[-1] ^= 1
        file.write_bytes(whole[:-3] if damage == "cut" else whole)
    fresh = PruningMask(net())
    with pytest.raises(ValueError, match=r"mask\.pt is (not a whole mask file|damaged)"):
        fresh.load(file)
    assert fresh.sparsity == 0
    with pytest.raises(FileNotFoundError):
        fresh.load(tmp_path / "absent")


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"'a' is torch\.float32 instead of torch\.bool"):
        PruningMask({"a": torch.ones(2)})
    with pytest.raises(ValueError, match="'x' matches no"):
        PruningMask(net(), exclude=["x"])
    with pytest.raises(ValueError, match="but a mask was given"):
        PruningMask({"a": torch.ones(2) > 0}, exclude=["a"])
    with pytest.raises(ValueError, match="'a' is not among"):
        PruningMask({"a": torch.ones(2) > 0}).apply(net())
