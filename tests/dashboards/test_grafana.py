"""How a dashboard's JSON becomes questions, and numbers become text."""

import pytest
from dashboards.grafana import View, label_values, legend
from dashboards.units import written


@pytest.mark.parametrize(
    ("expression", "promql"),
    [
        ('a{namespace=~"$namespace"}', r'a{namespace=~"(lab\\.one|lab-two)"}'),
        ('a{name="$experiment"}[$window]', 'a{name="lenet"}[1h]'),
        ("increase(a[$__range])", "increase(a[3600s])"),
        ("rate(a[${__rate_interval}])", "rate(a[60s])"),
        ("deriv(a[$window:$__interval])", "deriv(a[1h:15s])"),
    ],
)
def test_variables_are_written_as_grafana_writes_them(expression: str, promql: str) -> None:
    chosen = {"namespace": ["lab.one", "lab-two"], "experiment": "lenet", "window": "1h"}
    assert View(0.0, 3600.0, chosen).promql(expression) == promql


def test_a_long_time_is_read_in_larger_steps() -> None:
    week = View(0.0, 604_800.0, {})
    assert week.step == 2016
    assert week.promql("$__rate_interval") == "2031s"


def test_a_variable_that_is_not_chosen_is_no_question() -> None:
    with pytest.raises(KeyError, match="missing"):
        View(0.0, 60.0, {}).promql("$missing")


def test_the_query_of_a_variable_names_a_selector_and_a_label() -> None:
    found = label_values('label_values(a{b="c", d="e"}, name)')
    assert found == ('a{b="c", d="e"}', "name")
    with pytest.raises(ValueError, match="no query of a variable"):
        label_values("query_result(a)")


def test_a_series_is_called_by_its_labels() -> None:
    labels = {"__name__": "a", "namespace": "lab", "arm": "ticket"}
    assert legend({"legendFormat": "{{arm}} in {{ namespace }}{{none}}"}, labels) == "ticket in lab"
    assert legend({"legendFormat": "__auto"}, labels) == "ticket, lab"


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        (0.971, "percentunit", 0, "97%"),
        (0.9, "percentunit", None, "90%"),
        (0.0123, "s", None, "12.3 ms"),
        (0.0, "s", None, "0 s"),
        (95.0, "s", None, "1.58 min"),
        (7200.0, "s", None, "2 hour"),
        (1234.0, "short", None, "1.23 K"),
        (4.2, "suffix: /h", 2, "4.20 /h"),
        (0.5, "wps", None, "0.5 wr/s"),
    ],
)
def test_numbers_have_their_units(value: float, unit: str, decimals: int | None, text: str) -> None:
    assert written(value, unit, decimals) == text


def test_a_unit_that_is_not_known_is_named() -> None:
    with pytest.raises(ValueError, match="'furlong'"):
        written(1.0, "furlong")
