"""Tensors on disk and their digests."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

from ticketsmith.engine import tensors
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.round import run_round
from ticketsmith.stores.base import Store


def test_a_digest_sees_names_types_shapes_and_every_bit() -> None:
    base = torch.tensor([[1.0, 0.0], [2.0, 3.0]])
    others = [
        {"b": base},
        {"a": base.double()},
        {"a": base.reshape(4)},
        {"a": torch.tensor([[1.0, -0.0], [2.0, 3.0]])},
        {"a": base, "c": torch.zeros(0)},
    ]
    found = {tensors.digest(state) for state in [{"a": base}, *others]}
    assert len(found) == 6
    assert tensors.digest({"x": base, "y": base.t()}) == tensors.digest(
        {"y": base.t().contiguous(), "x": base.clone()}
    )


def test_what_is_written_is_read_and_may_be_read_by_others(tmp_path: Path) -> None:
    state = {
        "w": torch.randn(3, 4).t(),
        "n": torch.tensor(7),
        "b": torch.ones(2, dtype=torch.bfloat16),
    }
    file = tensors.write(state, tmp_path / "s.safetensors", {"note": "x"})
    found, metadata = tensors.read_with_metadata(file)
    assert tensors.digest(found) == tensors.digest(state)
    assert metadata == {"note": "x"}
    assert file.stat().st_mode & 0o044 == 0o044


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    file = tmp_path / "s.safetensors"
    file.write_bytes(b"not at all" * 9)
    with pytest.raises(BadSpec, match=r"s\.safetensors is not a whole safetensors file"):
        tensors.read(file)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The errno comes out of the text of safetensors' own error."""
    with pytest.raises(BadSpec, match=r"cannot write .*No such file or directory"):
        tensors.write({"w": torch.ones(1)}, tmp_path / "gone" / "s.safetensors")


@pytest.mark.parametrize(
    ("number", "words"), [(28, "the disk is full"), (30, "read-only"), (13, "permission is denied")]
)
def test_a_disk_that_takes_no_more_ends_the_round_with_exit_2(
    make_round: Any, store: Store, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise SafetensorError(f"Error while serializing: I/O error: refused (os error {number})")

    monkeypatch.setattr("ticketsmith.engine.tensors.save_file", refuse)
    code, answer = run_round(make_round(training={"duration": "1it"}), store, lambda _: None)
    assert code == 2
    assert answer.outcome == "error"
    assert words in answer.message
    assert "rewind.safetensors" in answer.message
