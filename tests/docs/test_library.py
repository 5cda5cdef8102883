"""docs/library.md runs from top to bottom and prints what it shows; its tables name calls and files that there are."""

import ast
import contextlib
import inspect
import io
import re
from pathlib import Path

import pytest
import torch
from shown import Fence, fences

import lottery_tickets

ROOT = Path(__file__).parents[2]
PATH = ROOT / "docs" / "library.md"
PAGE = PATH.read_text()
VERSIONS = dict(re.findall(r"^\| [^|]+ \| (\S+/\S+) \| `(\S+)` \|", PAGE, re.MULTILINE))
"""The version of each repository that was read, as the page tells it."""
PLACES = dict(re.findall(r"^\[([^\]]+)\]: (\S+)$", PAGE, re.MULTILINE))
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?%?")


def steps() -> list[tuple[Fence, str]]:
    """Each block of Python, and what the page says that it prints."""
    found = list(fences(PAGE))
    return [
        (fence, after.code if after is not None and after.language == "text" else "")
        for fence, after in zip(found, [*found[1:], None], strict=True)
        if fence.language == "python"
    ]


def alike(shown: str, printed: str) -> bool:
    """Words and whole numbers are equal; percentages and figures with a decimal point, which come from trainings,
    differ by 15% or 0.15 at most: another processor adds in another order."""
    if _NUMBER.split(shown) != _NUMBER.split(printed):
        return False
    for one, other in zip(_NUMBER.findall(shown), _NUMBER.findall(printed), strict=True):
        if one != other and not (set(one) & set(other) & set(".%")):
            return False
        first, second = (float(figure.rstrip("%").replace(",", "")) for figure in (one, other))
        if abs(first - second) > max(0.15, 0.15 * first):
            return False
    return True


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("accuracy 0.88", "accuracy 0.91", True),
        ("accuracy 0.88", "accuracy 0.60", False),
        ("18% of 64", "20% of 64", True),
        ("18% of 64", "18% of 63", False),
        ("1,149 kept", "1,150 kept", False),
        ("0.9", "1", False),
        ("True", "False", False),
    ],
)
def test_what_counts_as_alike(shown: str, printed: str, same: bool) -> None:
    assert alike(shown, printed) == same


@pytest.mark.slow
def test_every_block_runs_and_prints_what_is_shown(tmp_path: Path) -> None:
    names: dict[str, object] = {"__name__": "library"}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with contextlib.chdir(tmp_path), torch.random.fork_rng():
            for fence, shown in steps():
                out = io.StringIO()
                # As many lines before it as in the page, so that a traceback names the page's line.
                code = compile("\n" * fence.line + fence.code, str(PATH), "exec")
                with contextlib.redirect_stdout(out):
                    exec(code, names)  # noqa: S102
                printed = out.getvalue()
                assert alike(shown, printed), f"line {fence.line}: printed\n{printed}not\n{shown}"
    finally:
        torch.set_num_threads(threads)


def test_everything_that_is_shown_was_printed_by_a_block() -> None:
    shown = [fence for fence in fences(PAGE) if fence.language == "text"]
    assert len(shown) == sum(bool(text) for _, text in steps())
    assert {fence.language for fence in fences(PAGE)} == {"python", "text"}


def calls() -> list[ast.Call]:
    """Every call of the library in the text and the tables."""
    found = []
    for code in re.findall(r"`([^`\n]+)`", PAGE):
        with contextlib.suppress(SyntaxError):
            nodes = ast.walk(ast.parse(code.removeprefix("with ").removesuffix(":")))
            found += [one for one in nodes if isinstance(one, ast.Call)]
    return [one for one in found if ast.unparse(one.func).startswith("lt.")]


def test_the_names_of_the_library_exist() -> None:
    assert set(re.findall(r"\blt\.(\w+)", PAGE)) - set(lottery_tickets.__all__) == set()


def test_the_calls_in_the_tables_can_be_made() -> None:
    assert len(calls()) > 20
    for call in calls():
        function = getattr(lottery_tickets, ast.unparse(call.func).removeprefix("lt."))
        arguments = [one for one in call.args if ast.unparse(one) != "..."]
        keywords = {one.arg: None for one in call.keywords if one.arg is not None}
        inspect.signature(function).bind_partial(*arguments, **keywords)


def test_the_imports_for_earlier_code_can_be_made() -> None:
    section = PAGE.partition("\n## Code written for earlier texts\n")[2]
    rows = re.findall(r"^\| .*from .* \| (.+) \|$", section, re.MULTILINE)
    imports = [line for row in rows for line in re.findall(r"`(from [^`]+)`", row)]
    assert len(imports) >= 4
    for line in imports:
        if not line.endswith("..."):
            exec(line, {})  # noqa: S102


def test_what_is_said_of_other_tools_leads_to_the_version_that_was_read() -> None:
    assert len(VERSIONS) == 4
    for name, address in PLACES.items():
        found = re.fullmatch(r"https://github\.com/([^/]+/[^/]+)/blob/([^/]+)/\S+", address)
        assert found, (name, address)
        assert found[2] == VERSIONS[found[1]], (name, address)
    assert {address.split("/")[3] for address in PLACES.values()} == {
        repository.split("/")[0] for repository in VERSIONS
    }


def test_every_address_is_used() -> None:
    text = re.sub(r"^```.*?^```", "", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"\]\[([^\]]+)\]", text)) == set(PLACES)
