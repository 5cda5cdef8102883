"""Reading experiment files: what YAML says is what is meant, and each refusal is one sentence."""

from pathlib import Path

import pytest

from ticketsmith.cli.files import LARGEST, read_experiment, read_yaml
from ticketsmith.experiment.problems import BadSpec


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1.5E+3", 1500.0),
        ("-.5", -0.5),
        ("5.", 5.0),
        ("12", 12),
        ("true", True),
        ("no", "no"),
        ("on", "on"),
        ("2026-01-02", "2026-01-02"),
        ("20ep", "20ep"),
        ("1e5x", "1e5x"),
        ('"5.00"', "5.00"),
        ("null", None),
        ("~", None),
    ],
)
def test_plain_values_are_read_as_yaml_1_2_reads_them(text: str, value: object) -> None:
    assert read_yaml(f"a: {text}") == {"a": value}
    assert type(read_yaml(f"a: {text}")["a"]) is type(value)


def test_anchors_may_be_merged_and_overridden() -> None:
    assert read_yaml("a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}")["d"] == {"b": 1, "c": 3}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["empty", "ticketsmith init"]),
        ("# only a comment\n---\n", ["empty"]),
        ("a: 1\na: 2", ["line 2", "'a' stands twice", "remove one"]),
        ("a: {b: {c: 1, c: 2}}", ["'c' stands twice"]),
        ("a: 1\n---\nb: 2", ["2 documents"]),
        ("a: [1", ["line"]),
        ("a: !!python/object:os.system x", ["could not determine a constructor"]),
        ("a: \x07", ["not YAML"]),
        ("[" * 1500, ["not YAML"]),
    ],
)
def test_what_is_not_one_plain_document_is_refused(text: str, words: list[str]) -> None:
    with pytest.raises(BadSpec) as caught:
        read_yaml(text)
    told = str(caught.value)
    assert "\n" not in told
    for word in words:
        assert word in told


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file"),
        (b"\xff\xfe", "not UTF-8"),
        (b"x" * (LARGEST + 1), "larger than"),
        (b"- a list", "bad.yaml: "),
    ],
)
def test_unreadable_files_are_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    file = tmp_path / "bad.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadSpec) as caught:
        read_experiment(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert words in str(caught.value)


def test_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSpec, match="this is a folder"):
        read_experiment(tmp_path)
