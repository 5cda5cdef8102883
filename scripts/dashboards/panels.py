"""The kinds of panels that are used, each with the same look everywhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    gauge,
    prometheus,
    stat,
    table,
    timeseries,
    trend,
)
from grafana_foundation_sdk.builders.dashboard import DashboardLink, FieldColor, ThresholdsConfig
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models.common import BigValueTextMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.queries import Query
from dashboards.variables import DATASOURCE

Panel = stat.Panel | gauge.Panel | bargauge.Panel | table.Panel | timeseries.Panel | trend.Panel
_P = TypeVar(
    "_P", stat.Panel, gauge.Panel, bargauge.Panel, table.Panel, timeseries.Panel, trend.Panel
)
_Numbers = TypeVar("_Numbers", stat.Panel, gauge.Panel, bargauge.Panel)
_Curves = TypeVar("_Curves", timeseries.Panel, trend.Panel)
Steps = Sequence[tuple[float, str]]
"""From which value on which colour holds; green below the first."""

RATIO: Final = "percentunit"
SECONDS: Final = "s"
COUNT: Final = "short"
PLAIN: Final = "none"
"""Numbers whose unit stands in the legend: money with its currency, quality with its metric."""
PER_HOUR: Final = "suffix: /h"
TIMES: Final = "suffix:×"  # noqa: RUF001


@dataclass(frozen=True, slots=True)
class About:
    """What every panel tells of itself."""

    id: int
    title: str
    description: str
    unit: str
    decimals: int | None = None
    no_value: str = "none yet"
    """Shown where there is nothing to show."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: the field it shows, its head, and its unit."""

    field: str
    head: str
    unit: str = ""
    decimals: int | None = None
    link: DashboardLink | None = None


def number(
    about: About, query: Query, steps: Steps = (), shows: BigValueTextMode = BigValueTextMode.VALUE
) -> stat.Panel:
    """The latest value, its legend, or both, coloured where there are steps."""
    coloured = shapes.BigValueColorMode.VALUE if steps else shapes.BigValueColorMode.NONE
    panel = _numbers(stat.Panel(), about, [query], steps)
    return panel.text_mode(shows).color_mode(coloured).graph_mode(shapes.BigValueGraphMode.NONE)


def dials(about: About, queries: Sequence[Query], steps: Steps = ()) -> gauge.Panel:
    """A dial from 0 to 1 for each ratio."""
    return _numbers(gauge.Panel(), about, queries, steps).min(0).max(1)


def bars(about: About, query: Query) -> bargauge.Panel:
    """A bar for each series, from 0."""
    panel = _numbers(bargauge.Panel(), about, [query], ()).min(0)
    panel.color_scheme(_one_colour("blue"))
    panel.orientation(shapes.VizOrientation.HORIZONTAL)
    return panel.display_mode(shapes.BarGaugeDisplayMode.BASIC)


def lines(
    about: About,
    queries: Sequence[Query],
    colours: Mapping[str, str] | None = None,
    steps: Steps = (),
) -> timeseries.Panel:
    """Curves over time; a dashed line at each step."""
    panel = _curves(timeseries.Panel(), about, queries, colours or {})
    panel.line_width(2).fill_opacity(8).show_points(shapes.VisibilityMode.AUTO)
    if steps:
        dashes = common.GraphThresholdsStyleConfig().mode(shapes.GraphTresholdsStyleMode.DASHED)
        panel.thresholds(_thresholds(steps)).thresholds_style(dashes)
    return panel


def stacked(
    about: About, queries: Sequence[Query], colours: Mapping[str, str] | None = None
) -> timeseries.Panel:
    """Areas over time, one upon the other, where the sum means something."""
    panel = _curves(timeseries.Panel(), about, queries, colours or {})
    panel.stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL).group("A"))
    return panel.line_width(1).fill_opacity(45).show_points(shapes.VisibilityMode.NEVER)


def curve(
    about: About, x: str, x_unit: str, queries: Mapping[str, Query], colours: Mapping[str, str]
) -> trend.Panel:
    """Series over the one that is called `x` instead of over time. All queries give a value for each value of the same
    labels."""
    panel = _curves(trend.Panel(), about, [], colours)
    panel.targets(_table(queries))
    names = {f"Value #{ref}": query.legend for ref, query in queries.items()}
    panel.transformations(
        [
            _without_time(),
            _transformation("merge"),
            _transformation("filterFieldsByName", include={"pattern": "^Value #.*$"}),
            _transformation("organize", renameByName=names),
            _transformation("sortBy", fields={}, sort=[{"field": x}]),
        ]
    )
    panel.override_by_name(x, [dashboard.DynamicConfigValue("unit", x_unit)])
    panel.span_nulls(True).line_width(2).point_size(7).show_points(shapes.VisibilityMode.ALWAYS)
    return panel.x_field(x)


def rows(
    about: About,
    queries: Mapping[str, Query],
    columns: Sequence[Column],
    sort_by: Column,
    *,
    descending: bool = False,
) -> table.Panel:
    """A row for each set of labels that the queries share, sorted by a column."""
    panel = _common(table.Panel(), about)
    panel.targets(_table(queries))
    order = {column.field: place for place, column in enumerate(columns)}
    panel.transformations(
        [
            _without_time(),
            _transformation("merge"),
            _transformation("organize", indexByName=order),
        ]
    )
    for column in columns:
        panel.override_by_name(column.field, _properties(column))
    sorting = common.TableSortByFieldState().display_name(sort_by.head).desc(descending)
    return panel.sort_by([sorting])


def _properties(column: Column) -> list[dashboard.DynamicConfigValue]:
    chosen: dict[str, object] = {"displayName": column.head}
    if column.unit:
        chosen["unit"] = column.unit
    if column.decimals is not None:
        chosen["decimals"] = column.decimals
    if column.link is not None:
        chosen["links"] = [column.link.build()]
    return [dashboard.DynamicConfigValue(key, value) for key, value in chosen.items()]


def _common(panel: _P, about: About) -> _P:
    panel.id(about.id).title(about.title).description(about.description)
    panel.datasource(DATASOURCE).unit(about.unit).no_value(about.no_value)
    if about.decimals is not None:
        panel.decimals(about.decimals)
    return panel


def _numbers(panel: _Numbers, about: About, queries: Sequence[Query], steps: Steps) -> _Numbers:
    _common(panel, about)
    panel.targets([_target(query, _ref(n), instant=True) for n, query in enumerate(queries)])
    panel.thresholds(_thresholds(steps))
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    return panel


def _curves(
    panel: _Curves, about: About, queries: Sequence[Query], colours: Mapping[str, str]
) -> _Curves:
    _common(panel, about)
    panel.targets([_target(query, _ref(n)) for n, query in enumerate(queries)])
    panel.color_scheme(FieldColor().mode(dashboard.FieldColorModeId.PALETTE_CLASSIC))
    panel.tooltip(
        common.VizTooltipOptions()
        .mode(shapes.TooltipDisplayMode.MULTI)
        .sort(shapes.SortOrder.DESCENDING)
    )
    panel.legend(
        common.VizLegendOptions()
        .display_mode(shapes.LegendDisplayMode.LIST)
        .placement(shapes.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs([])
    )
    for name, colour in colours.items():
        fixed = {"mode": "fixed", "fixedColor": colour}
        panel.override_by_name(name, [dashboard.DynamicConfigValue("color", fixed)])
    return panel


def _target(query: Query, ref: str, *, instant: bool = False) -> prometheus.Dataquery:
    target = prometheus.Dataquery().ref_id(ref).expr(query.promql).datasource(DATASOURCE)
    target.legend_format(query.legend or "__auto").format(PromQueryFormat.TIME_SERIES)
    return target.instant() if instant else target.range()


def _table(queries: Mapping[str, Query]) -> list[Builder[Dataquery]]:
    """Targets whose answers become the columns `Value #REF`."""
    return [
        _target(Query(query.promql), ref, instant=True).format(PromQueryFormat.TABLE)
        for ref, query in queries.items()
    ]


def _ref(number: int) -> str:
    return chr(ord("A") + number)


def _thresholds(steps: Steps) -> ThresholdsConfig:
    base = dashboard.Threshold(value=None, color="green")
    above = [dashboard.Threshold(value=value, color=colour) for value, colour in steps]
    return ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps([base, *above])


def _one_colour(colour: str) -> FieldColor:
    return FieldColor().mode(dashboard.FieldColorModeId.FIXED).fixed_color(colour)


def _transformation(kind: str, **options: object) -> dashboard.DataTransformerConfig:
    return dashboard.DataTransformerConfig(id_val=kind, options=options)


def _without_time() -> dashboard.DataTransformerConfig:
    """Rows are then one if their labels are equal."""
    return _transformation("filterFieldsByName", include={"pattern": "^(?!Time).*$"})
