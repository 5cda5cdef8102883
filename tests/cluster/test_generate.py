"""The generator of spec changes, and the judge of values it stands on."""

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import yaml
from complies import complies
from generate import ABSENT, Transition, spec_schema, transitions

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
SPEC = {"model": {"name": "lenet300"}, "seeds": [0]}


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_example_fits_the_schema(file: Path) -> None:
    spec = yaml.safe_load(file.read_text())["spec"]
    assert complies(spec_schema(), spec) is not False


@pytest.mark.parametrize(
    ("field", "value", "fits"),
    [
        ("seeds", [0, 1], None),  # a rule decides
        ("seeds", [], False),
        ("seeds", [-1], False),
        ("seeds", [True], False),
        ("suspend", True, True),
        ("suspend", None, None),  # becomes absent
        ("benchmark", None, True),
        ("limits", {"maxCost": 5, "maxGpuHours": "4.5"}, True),
        ("limits", {"maxCost": 5.5}, False),
        ("limits", {"maxcost": 5}, False),
        ("limits", {"maxCost": 10**8}, False),
        ("model", {"name": "x", "options": {"a": [1, {"b": None}], "c": None}}, True),
        ("model", {}, False),
    ],
)
def test_values_are_judged_as_an_api_server_does(field: str, value: Any, fits: bool | None) -> None:
    assert complies(spec_schema()["properties"][field], value) is fits


def test_changes_of_every_kind_are_drawn_and_the_same_ones_for_the_same_seed() -> None:
    drawn = list(islice(transitions(7, SPEC), 3000))
    assert drawn == list(islice(transitions(7, SPEC), 3000))
    assert drawn != list(islice(transitions(8, SPEC), 3000))
    for verdict in (True, False, None):
        assert len([one for one in drawn if one.valid is verdict]) > 50
    fields = {one.path[0] for one in drawn}
    assert fields == set(spec_schema()["properties"])
    assert any(one.value is ABSENT for one in drawn)
    assert {one.value for one in drawn if one.path == ("suspend",) and one.valid} >= {True, False}


def test_a_change_leaves_the_spec_it_is_applied_to_alone() -> None:
    change = Transition(("limits", "retries"), 1, True)
    assert change.apply(SPEC) == {**SPEC, "limits": {"retries": 1}}
    assert "limits" not in SPEC
    assert Transition(("seeds",), ABSENT, False).apply(SPEC) == {"model": {"name": "lenet300"}}
