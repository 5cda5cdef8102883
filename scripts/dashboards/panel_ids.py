"""Names, uids and panel ids that others link to. An id is never given to another panel; new panels take new ids.

A link to a panel is `/d/<uid>?viewPanel=<id>`; Grafana reads the annotations `__dashboardUid__` and `__panelId__` of an
alert the same way.
"""

from enum import IntEnum
from typing import Final

FLEET_UID: Final = "ticketsmith-fleet"
EXPERIMENT_UID: Final = "ticketsmith-experiment"


class FleetPanel(IntEnum):
    """Panels of the dashboard *Fleet*."""

    OPERATORS = 1
    RESYNC_AGE = 2
    EXPERIMENTS_RUNNING = 3
    ROUNDS_RUNNING = 4
    ROUNDS_PENDING = 5
    SPENT = 6
    WASTED = 7
    WASTE_SHARE = 8

    PHASES = 20
    ROUNDS_PER_HOUR = 21
    IN_PROGRESS = 22
    DEAREST = 23

    COST_RATE = 30
    COST_BY_PLACE = 31
    COST_BY_NAMESPACE = 32
    WASTE_OVER_TIME = 33
    GPUS_IN_USE = 34
    GPU_SECONDS = 35

    SCHEDULING_GAP = 40
    WORKQUEUE = 41
    RECONCILE_ERRORS = 42
    ANSWERS_MISSING = 43
    API_WRITES = 44


class ExperimentPanel(IntEnum):
    """Panels of the dashboard *Experiment*."""

    PROGRESS = 1
    BEST_SPARSITY = 2
    DROP = 3
    SPEEDUP = 4
    COST = 5
    BUDGET = 6
    DEADLINE = 7
    TIME_LEFT = 8
    PHASE = 9

    QUALITY_BY_SPARSITY = 20
    DROP_BY_SPARSITY = 21
    LEVELS = 22
    FIRST_LEVEL_GATE = 23

    USED_UP = 30
    TIME_LEFT_OVER_TIME = 31
    ROUND_PENDING = 32
    ROUNDS_IN_PROGRESS = 33

    COST_AND_BUDGET = 40
    GPU_SECONDS = 41
    THROUGHPUT = 50


ALERT_PANELS: Final[dict[str, tuple[str, int]]] = {
    "TicketSmithOperatorDown": (FLEET_UID, FleetPanel.OPERATORS),
    "TicketSmithOperatorStalled": (FLEET_UID, FleetPanel.RESYNC_AGE),
    "TicketSmithBudgetNearlySpent": (EXPERIMENT_UID, ExperimentPanel.BUDGET),
    "TicketSmithBudgetSpent": (EXPERIMENT_UID, ExperimentPanel.BUDGET),
    "TicketSmithCostRateHigh": (FLEET_UID, FleetPanel.COST_RATE),
    "TicketSmithRoundsFailing": (FLEET_UID, FleetPanel.ROUNDS_PER_HOUR),
    "TicketSmithFirstLevelGateFailed": (EXPERIMENT_UID, ExperimentPanel.FIRST_LEVEL_GATE),
    "TicketSmithRoundPending": (EXPERIMENT_UID, ExperimentPanel.ROUND_PENDING),
    "TicketSmithDeadlineNear": (EXPERIMENT_UID, ExperimentPanel.DEADLINE),
    "TicketSmithAnswersMissing": (FLEET_UID, FleetPanel.ANSWERS_MISSING),
    "TicketSmithSchedulingGapHigh": (FLEET_UID, FleetPanel.SCHEDULING_GAP),
    "TicketSmithReconcileErrors": (FLEET_UID, FleetPanel.RECONCILE_ERRORS),
}
"""The panel that each alert's annotations `__dashboardUid__` and `__panelId__` name. The Experiment dashboard is opened
with `?var-namespace=NAMESPACE&var-experiment=NAME`."""
