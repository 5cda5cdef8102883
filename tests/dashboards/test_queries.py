"""Every query of the dashboards, asked of a real Prometheus that watched a real operator and a fleet of experiments."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from dashboards.grafana import Value, View, answer, choose_all, label_values, panels, variables
from dashboards.panel_ids import ExperimentPanel, FleetPanel
from dashboards.pictures import picture
from fleet_story import (
    BROKEN,
    CURVE,
    FLAKY,
    LANGUAGE,
    QUICK,
    STRICT,
    VISION,
    WAITING,
    FleetStory,
)
from PIL import Image
from prometheus import Series

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

Dashboard = dict[str, Any]
Look = Callable[..., View]
RATIO = "percentunit"


@pytest.fixture(scope="module")
def look(story: FleetStory) -> Look:
    """Look at the whole story, with these values chosen."""
    now = time.time()

    def from_the_beginning(**chosen: Value) -> View:
        return View(story.began, now, {"window": "1h", **chosen}, scrape_seconds=1.0)

    return from_the_beginning


def answers(
    story: FleetStory, dashboard: Dashboard, view: View
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any], list[Series]]]:
    """Each panel and target, with what Prometheus says; QueryError if it says that it cannot."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield panel, target, answer(story.prometheus, view, target)


def numbers(found: Sequence[Series]) -> list[float]:
    """Every value that can be drawn: 0/0 is an answer, but shows nothing."""
    return [value for one in found for _, value in one.samples if math.isfinite(value)]


def number_in(story: FleetStory, dashboard: Dashboard, panel_id: int, view: View) -> float:
    """What a panel with one number shows, or the first of two."""
    [series] = asked(story, dashboard, panel_id, view)
    return series.value


def asked(
    story: FleetStory, dashboard: Dashboard, panel_id: int, view: View, target: int = 0
) -> list[Series]:
    """What one target of a panel is answered."""
    [panel] = [one for one in panels(dashboard) if one["id"] == panel_id]
    return answer(story.prometheus, view, panel["targets"][target])


@pytest.mark.parametrize("chosen", ["all", "one", "two"])
def test_no_panel_of_the_fleet_is_empty(
    story: FleetStory, fleet: Dashboard, look: Look, chosen: str
) -> None:
    namespaces: dict[str, Value] = {
        "all": choose_all(fleet, "namespace"),
        "one": [LANGUAGE],
        "two": [VISION, LANGUAGE],
    }
    view = look(namespace=namespaces[chosen])
    empty = [
        (panel["title"], view.promql(target["expr"]))
        for panel, target, found in answers(story, fleet, view)
        if not numbers(found)
    ]
    assert not empty


def test_no_panel_of_an_experiment_is_empty(
    story: FleetStory, experiment: Dashboard, look: Look
) -> None:
    view = look(namespace=VISION, experiment=CURVE)
    empty = [
        (panel["title"], view.promql(target["expr"]))
        for panel, target, found in answers(story, experiment, view)
        if not numbers(found)
    ]
    assert not empty


@pytest.mark.parametrize(
    ("namespace", "name"),
    [(VISION, QUICK), (VISION, STRICT), (LANGUAGE, FLAKY), (LANGUAGE, BROKEN), (LANGUAGE, WAITING)],
)
def test_an_experiment_that_is_not_timed_failed_or_waits_breaks_no_panel(
    story: FleetStory, experiment: Dashboard, look: Look, namespace: str, name: str
) -> None:
    view = look(namespace=namespace, experiment=name)
    shown = {panel["id"] for panel, _, found in answers(story, experiment, view) if numbers(found)}
    always = {
        ExperimentPanel.PHASE,
        ExperimentPanel.PROGRESS,
        ExperimentPanel.COST,
        ExperimentPanel.BUDGET,
        ExperimentPanel.DEADLINE,
        ExperimentPanel.USED_UP,
        ExperimentPanel.ROUND_PENDING,
        ExperimentPanel.ROUNDS_IN_PROGRESS,
        ExperimentPanel.GPU_SECONDS,
    }
    assert always <= shown
    assert (ExperimentPanel.TIME_LEFT in shown) == (name == WAITING)
    assert (ExperimentPanel.SPEEDUP in shown) == (name == QUICK)


def test_values_fit_their_units(
    story: FleetStory, fleet: Dashboard, experiment: Dashboard, look: Look
) -> None:
    for dashboard, view in (
        (fleet, look(namespace=choose_all(fleet, "namespace"))),
        (experiment, look(namespace=VISION, experiment=CURVE)),
    ):
        for panel, target, found in answers(story, dashboard, view):
            values = numbers(found)
            who = (panel["title"], target["expr"], values)
            if panel["id"] not in {ExperimentPanel.DROP, ExperimentPanel.DROP_BY_SPARSITY}:
                assert min(values) >= 0, who
            if panel["fieldConfig"]["defaults"]["unit"] == RATIO:
                assert max(values) <= 1, who


def test_variables_offer_what_there_is(
    story: FleetStory, fleet: Dashboard, experiment: Dashboard, look: Look
) -> None:
    def offered(dashboard: Dashboard, name: str, **chosen: str) -> list[str]:
        query = variables(dashboard)[name]["query"]["query"]
        selector, label = label_values(look(**chosen).promql(query))
        return story.prometheus.label_values(label, selector)

    assert offered(fleet, "namespace") == [LANGUAGE, VISION]
    assert offered(experiment, "namespace") == [LANGUAGE, VISION]
    assert offered(experiment, "experiment", namespace=VISION) == sorted([CURVE, STRICT, QUICK])
    assert offered(experiment, "experiment", namespace=LANGUAGE) == sorted([FLAKY, BROKEN, WAITING])


def test_money_is_what_the_statuses_say_also_across_a_restart(
    story: FleetStory, fleet: Dashboard, look: Look
) -> None:
    """The counters of the first operator ended, those of the second began at zero; Prometheus extrapolates a little."""
    view = look(namespace=choose_all(fleet, "namespace"))
    spent = float(story.spent())
    exact = asked(story, fleet, FleetPanel.COST_BY_NAMESPACE, view)
    assert sum(one.value for one in exact) == pytest.approx(spent)
    assert number_in(story, fleet, FleetPanel.SPENT, view) == pytest.approx(spent, rel=0.15)
    by_place = asked(story, fleet, FleetPanel.COST_BY_PLACE, view)
    accelerators = {one.labels["accelerator"] for one in by_place}
    assert accelerators == {"nvidia-l4", "nvidia-tesla-t4", "nvidia-a100"}
    wasted = number_in(story, fleet, FleetPanel.WASTED, view)
    assert 0 < wasted < spent
    assert number_in(story, fleet, FleetPanel.WASTE_SHARE, view) == pytest.approx(
        wasted / number_in(story, fleet, FleetPanel.SPENT, view)
    )


def test_the_first_of_everything_is_counted(
    story: FleetStory, fleet: Dashboard, look: Look
) -> None:
    """Three attempts were tried again and one failed for good; a counter that began at 1 would hide each."""
    view = look(namespace=choose_all(fleet, "namespace"), window=f"{round(time.time() - story.began)}s")  # fmt: skip
    hours = (view.end - story.began) / 3600
    ended = {
        one.labels["outcome"]: one.value * hours
        for one in asked(story, fleet, FleetPanel.ROUNDS_PER_HOUR, view)
    }
    assert ended["retried"] == pytest.approx(3, abs=0.5)
    assert ended["failed"] == pytest.approx(1, abs=0.3)
    missing = asked(story, fleet, FleetPanel.ANSWERS_MISSING, view)
    latest = {one.labels["namespace"]: one.value for one in missing}
    assert latest[LANGUAGE] == pytest.approx(1, abs=0.3)
    assert latest[VISION] == 0


def test_the_state_of_the_fleet_is_told_as_it_is(
    story: FleetStory, fleet: Dashboard, look: Look
) -> None:
    view = look(namespace=choose_all(fleet, "namespace"))
    assert number_in(story, fleet, FleetPanel.OPERATORS, view) == 1
    assert number_in(story, fleet, FleetPanel.EXPERIMENTS_RUNNING, view) == 2
    assert number_in(story, fleet, FleetPanel.ROUNDS_RUNNING, view) == 3
    assert number_in(story, fleet, FleetPanel.ROUNDS_PENDING, view) == 1
    phases = {
        one.labels["phase"]: one.value for one in asked(story, fleet, FleetPanel.PHASES, view)
    }
    assert phases == {"Pending": 0, "Running": 2, "Suspended": 0, "Succeeded": 2, "Failed": 2}
    dearest = asked(story, fleet, FleetPanel.DEAREST, view)
    costs = [one.value for one in dearest]
    assert len(costs) == 5
    assert (dearest[0].labels["name"], costs) == (CURVE, sorted(costs, reverse=True))
    progress = asked(story, fleet, FleetPanel.DEAREST, view, target=1)
    assert {one.labels["name"] for one in progress} == {one.labels["name"] for one in dearest}


def test_the_curve_rises_with_sparsity_and_starts_at_the_dense_network(
    story: FleetStory, experiment: Dashboard, look: Look
) -> None:
    view = look(namespace=VISION, experiment=CURVE)
    sparsity, ticket, reinit, random = (
        {
            one.labels["level"]: one.value
            for one in asked(story, experiment, ExperimentPanel.QUALITY_BY_SPARSITY, view, target)
        }
        for target in range(4)
    )
    levels = sorted(sparsity, key=int)
    assert levels == ["0", "1", "2", "3", "4", "5"]
    assert [sparsity[level] for level in levels] == pytest.approx([0, 0.5, 0.8, 0.9, 0.95, 0.98], abs=1e-4)  # fmt: skip
    for arm in (ticket, reinit, random):
        assert arm.keys() == sparsity.keys()
        assert arm["0"] == ticket["0"]
    assert ticket["5"] > reinit["5"] > random["5"]
    drops = asked(story, experiment, ExperimentPanel.DROP_BY_SPARSITY, view, target=1)
    drop = {one.labels["level"]: one.value for one in drops}
    assert drop["5"] == pytest.approx(ticket["0"] - ticket["5"])


def test_limits_findings_and_waits_are_told_as_they_are(
    story: FleetStory, experiment: Dashboard, look: Look
) -> None:
    curve = look(namespace=VISION, experiment=CURVE)

    def shown(panel: int, view: View = curve) -> float:
        return number_in(story, experiment, panel, view)

    cost = shown(ExperimentPanel.COST)
    assert shown(ExperimentPanel.BUDGET) == pytest.approx(cost / 10)
    cost_line, budget = (
        asked(story, experiment, ExperimentPanel.COST_AND_BUDGET, curve, target)[0].value
        for target in range(2)
    )
    assert (cost_line, budget) == pytest.approx((cost, 10))
    assert shown(ExperimentPanel.PROGRESS) == pytest.approx(33 / 34)
    assert shown(ExperimentPanel.SPEEDUP) == 1.8
    throughput = asked(story, experiment, ExperimentPanel.THROUGHPUT, curve)
    assert [one.labels["batch_size"] for one in throughput] == ["1", "32", "256"]
    assert shown(ExperimentPanel.TIME_LEFT) > 0
    left = asked(story, experiment, ExperimentPanel.TIME_LEFT_OVER_TIME, curve, target=1)
    # The deadline's clock runs as any clock: what is used and what is left make up 600 seconds.
    used = shown(ExperimentPanel.DEADLINE) * 600
    assert left[0].value + used == pytest.approx(600, abs=20)
    strict = look(namespace=VISION, experiment=STRICT)
    assert shown(ExperimentPanel.FIRST_LEVEL_GATE, strict) == 2
    waiting = look(namespace=LANGUAGE, experiment=WAITING)
    [wait] = asked(story, experiment, ExperimentPanel.ROUND_PENDING, waiting)
    assert wait.value > 0
    [none] = asked(story, experiment, ExperimentPanel.ROUND_PENDING, curve)
    assert none.value == 0


def test_pictures_of_both_can_be_drawn(
    story: FleetStory, fleet: Dashboard, experiment: Dashboard, look: Look, tmp_path: Path
) -> None:
    views = {
        "fleet": (fleet, look(namespace=choose_all(fleet, "namespace"))),
        "curve": (experiment, look(namespace=VISION, experiment=CURVE)),
        "little": (experiment, look(namespace=LANGUAGE, experiment=BROKEN)),
    }
    for name, (dashboard, view) in views.items():
        path = tmp_path / f"{name}.png"
        picture(dashboard, view, story.prometheus, path)
        with Image.open(path) as drawn:
            assert drawn.width > 1000
