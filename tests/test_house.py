"""Rules of the house that no other tool keeps."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_file_holds_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert "--index-url" not in text
    pins = re.findall(r"^[a-z0-9][^\s=]*==[^\s;\\]+.*$", text, re.MULTILINE)
    assert pins
    for block in re.split(r"\n(?=[a-z0-9])", text):
        if re.match(r"[a-z0-9][^\s=]*==", block):
            assert "--hash=sha256:" in block, block.splitlines()[0]


def test_what_runs_is_what_is_tested() -> None:
    def pins(name: str) -> set[str]:
        text = (ROOT / "requirements" / name).read_text()
        return set(re.findall(r"^([a-z0-9][^\s;\\]*==[^\s;\\]+)", text, re.MULTILINE))

    assert pins("runner.txt") <= pins("dev.txt")
    assert pins("build.txt") <= pins("dev.txt")


def test_the_operator_folder_does_not_shadow_the_standard_library() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()
    assert (ROOT / "operator" / "ticketsmith_operator" / "__init__.py").exists()


def test_the_operators_image_needs_no_torch() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    operator = project["optional-dependencies"]["operator"]
    assert not [need for need in operator + project["dependencies"] if need.startswith("torch")]
    assert "\ntorch==" not in (ROOT / "requirements" / "operator.txt").read_text()


def test_nothing_unpickles() -> None:
    """Artifacts come from a store others can write to: torch.load or pickle on them is a way in."""
    for source in sorted((ROOT / "runner").rglob("*.py")):
        text = source.read_text()
        assert not re.search(
            r"(?<!safetensors\.)\btorch\.(load|save)\(|^\s*(import|from) pickle\b",
            text,
            re.MULTILINE,
        ), source
