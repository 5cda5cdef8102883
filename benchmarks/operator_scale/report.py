"""The figures as a page: goals beside what was measured, the contenders side by side, and how it all grows. Pure."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

Result = Mapping[str, Any]
JOBSET = """\
JobSet's `dependsOn`, measured earlier on such a machine (2 cores, the same API server beside it; figures of the issue,
not of this run): gap p50 34-43 ms, p99 510-1,300 ms; 33-39 steps a second at saturation; 2.2-2.8 writes a step."""


def page(result: Result) -> str:
    """The whole page in Markdown."""
    about = result["environment"]
    parts = [
        "# The operator at scale",
        f"{about['processor']}, {about['cores']} cores shared by etcd, API server, contender and player;"
        f" Python {about['python']}, Kubernetes {about['kubernetes']}; load average before it began"
        f" {about['loadAverage']:.1f}, and at its end {result['loadAverageAtEnd']:.1f}. Seed {result['seed']}."
        f" {result['minutes']:.0f} minutes.",
        f"    {result['command']}",
        "A gap is what the player sees: from the answer to its PUT, which completes a Job, to the ADDED event of the"
        " chain's next Job, by one clock. It overstates: two deliveries of watch events are in it.",
        "## Goals",
        _table(("what", "goal", "measured", "lowest-highest", ""), goals(result), "l r r r l"),
        "## Side by side",
        f"{result['chains']} chains of 5 steps of {result['step'][0]:g}-{result['step'][1]:g} s started together, then"
        " with steps of no length. The bare loop only watches and posts the next Job; player and machine are the same."
        " Median of the repetitions.",
        _table(
            _SIDE_HEAD,
            [_contender(result, name) for name in ("operator", "floor")],
            "l" + " r" * (len(_SIDE_HEAD) - 1),
        ),
        JOBSET,
        "## Growth",
        f"{result['perSecond']:g} rounds end a second whatever the number of experiments; {_ROUNDS}",
        _table(
            _GROWTH_HEAD,
            [_grown(one) for one in result["inFlight"]],
            "r" + " r" * (len(_GROWTH_HEAD) - 1),
        ),
        "## What one round asks of the API server",
        f"{result['chains']} chains, the first round and the end of each included.",
        _table(("request", "per round"), _requests(result), "l r"),
    ]
    return "\n\n".join(parts) + "\n"


_ROUNDS = (
    "chains have 12 rounds here, and each that ends is followed by another. Start-up is from the start of the process"
    " until it is ready and has looked at each experiment. CPU is the operator's, user and system. Events wait for"
    " company, for a minute at most, and count where they are posted: see below for all writes of a whole life."
)
_PROCESSES = ("contender", "api-server", "etcd", "player")
_SIDE_HEAD = (
    "", "gap p50 ms", "p90", "p99", "longest", "at saturation: rounds/s",
    "CPU ms/round", "API server's", "etcd's", "player's", "repetitions",
)  # fmt: skip
_GROWTH_HEAD = (
    "experiments", "s to the first Job of each", "gap p50 ms", "p99", "rounds/s", "CPU ms/round", "writes/round",
    "reads", "MB", "at saturation: rounds/s", "CPU ms/round", "writes/round", "most MB",
    "start-up with Jobs", "s", "CPU s", "MB",
)  # fmt: skip


def goals(result: Result) -> list[tuple[str, str, str, str, str]]:
    """Each goal, what was measured, and whether it is reached."""
    timed, full = result["operator"]["timed"], result["operator"]["saturated"]
    sizes = {one["experiments"]: one for one in result["inFlight"]}
    rows = [
        _goal(f"{result['chains']} chains: gap p50, ms", 20, _gap(timed, "p50")),
        _goal(f"{result['chains']} chains: gap p99, ms", 120, _gap(timed, "p99")),
        _goal(
            "rounds a second at saturation", 100, [r["roundsPerSecond"] for r in full], least=True
        ),
        _goal(
            "API writes a round, Events included",
            3,
            [r["writesPerRound"] for r in [*timed, *full]],
            worst=True,
        ),
    ]
    one = sizes.get(1000)
    if one is not None:
        rows += [
            _goal("1,000 in flight: gap p50, ms", 50, _gap([one["steady"]], "p50")),
            _goal("1,000 in flight: gap p99, ms", 250, _gap([one["steady"]], "p99")),
            _goal(
                f"start-up with 1,000 and {one['startUp']['jobs']:,} Jobs, s",
                15,
                [one["startUp"]["seconds"]],
            ),
            _goal("resident memory with them, MB", 200, _memory(one), worst=True),
        ]
    return rows


def _goal(
    what: str, goal: float, values: Sequence[float], *, least: bool = False, worst: bool = False
) -> tuple[str, str, str, str, str]:
    found = max(values) if worst else statistics.median(values)
    is_reached = found >= goal if least else found <= goal
    between = f"{_figure(min(values))}-{_figure(max(values))}" if len(values) > 1 else ""
    sign = "≥" if least else "≤"
    return (
        what,
        f"{sign} {goal:g}",
        _figure(found),
        between,
        "reached" if is_reached else "**missed**",
    )


def _gap(runs: Sequence[Result], which: str) -> list[float]:
    return [1000 * run["gapSeconds"][which] for run in runs]


def _memory(one: Result) -> list[float]:
    return [one[part]["mostResidentMB"] for part in ("steady", "saturated", "startUp")]


def _contender(result: Result, name: str) -> tuple[str, ...]:
    timed, full = result[name]["timed"], result[name]["saturated"]
    medians = [statistics.median(_gap(timed, which)) for which in ("p50", "p90", "p99", "longest")]
    rate = statistics.median(run["roundsPerSecond"] for run in full)
    label = {"operator": "operator", "floor": "bare loop (floor)"}[name]
    cpu = [[run["cpuMsPerRound"][process] for run in full] for process in _PROCESSES]
    spent = map(statistics.median, cpu)
    return (label, *map(_figure, (*medians, rate, *spent)), f"{len(timed)}, {len(full)}")


def _grown(one: Result) -> tuple[str, ...]:
    steady, full, start = one["steady"], one["saturated"], one["startUp"]
    return (
        f"{one['experiments']:,}",
        *map(
            _figure,
            (one["secondsToFirstJobOfEach"], *(_gap([steady], w)[0] for w in ("p50", "p99"))),
        ),
        *map(_figure, (steady["roundsPerSecond"], _cpu(steady), steady["writesPerRound"])),
        str(steady["reads"]),
        *map(
            _figure,
            (steady["residentMB"], full["roundsPerSecond"], _cpu(full), full["writesPerRound"]),
        ),
        _figure(full["mostResidentMB"]),
        f"{start['jobs']:,}",
        *map(_figure, (start["seconds"], start["cpuSeconds"], start["residentMB"])),
    )


def _cpu(run: Result) -> float:
    spent: float = run["cpuMsPerRound"]["contender"]
    return spent


def _requests(result: Result) -> list[tuple[str, str]]:
    run = result["operator"]["timed"][0]
    counted = [(kind, f"{number:.2f}") for kind, number in sorted(run["requestsPerRound"].items())]
    return [
        *counted,
        ("**the operator's writes, as it counts them**", f"{run['writesPerRound']:.2f}"),
        ("**the same, as the API server counts them**", f"{run['writesPerRoundSeenByServer']:.2f}"),
        ("**GETs and LISTs by anyone, in the whole run**", str(run["reads"])),
    ]


def _figure(value: float) -> str:
    return (
        f"{value:,.0f}"
        if abs(value) >= 100
        else f"{value:.1f}"
        if abs(value) >= 10
        else f"{value:.2f}"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], sides: str) -> str:
    rule = [{"l": "---", "r": "--:"}[side] for side in sides.split()]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))
