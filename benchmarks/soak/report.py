"""What the soak came to, as a page and a picture. Pure but for the file that the picture is written to."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from soak.figures import WARM_UP_MINUTES

Result = Mapping[str, Any]
_WRITES = ("create", "update", "patch", "delete")


def page(result: Result, picture_name: str) -> str:
    """The whole page in Markdown."""
    about, rounds = result["environment"], result["rounds"]
    hours = result["minutes"] / 60 * result["speedUp"]
    low, high = result["roundSeconds"]
    parts = [
        "# A day of faults",
        f"{about['processor']}, {about['cores']} cores shared by etcd, API server, Job controller, scheduler,"
        f" the node that plays"
        f" the Pods, a proxy and the operator; Python {about['python']}, Kubernetes {about['kubernetes']};"
        f" load average before"
        f" {about['loadAverage']:.1f}, at the end {result['loadAverageAtEnd']:.1f}. Seed {result['seed']}.",
        f"    {result['command']}",
        f"{result['minutes']:.0f} minutes stand for {hours:.0f} hours: rounds take {low:g} to {high:g} s"
        f" where real ones take"
        f" minutes, and everything is listed anew every 5 s, not every 5 minutes. What it does not compress:"
        f" Kubernetes' own"
        f" delays, and time by which a leak would grow without any work. {result['inFlight']} experiments at once;"
        f" {result['every'][0]:g} to {result['every'][1]:g} s between one fault's end and the next.",
        f"![Rounds done and memory over time]({picture_name})",
        "## What came of it",
        _table(("", ""), [*_outcome(result), *_cost(result)], "l r"),
        *_broken(result),
        "## Memory",
        _memory(result),
        "## What went wrong",
        _table(
            ("fault", "times"),
            sorted(result["faults"].items(), key=lambda one: -one[1]),
            "l r",
        ),
        "Each experiment that ended was held to the status that the same one comes to without faults (states,"
        " keys, metrics, gates,"
        " best ticket, conditions), and to what its containers really did. Edited statuses, clocks that"
        " differ and kills at every"
        " single write are not here but in `tests/cluster/faults`.",
        f"Rounds done: {rounds}. Writes of the operators, all of them together:",
        _table(
            ("request", "times", "per round"),
            [
                (kind, number, f"{number / rounds:.2f}")
                for kind, number in sorted(result["calls"].items(), key=lambda one: -one[1])
                if kind.split()[0] in _WRITES
            ],
            "l r r",
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _outcome(result: Result) -> list[tuple[str, object]]:
    ended = ", ".join(f"{reason} {number}" for reason, number in sorted(result["ended"].items()))
    return [
        ("experiments that ended", f"{result['experiments']} ({ended})"),
        ("rounds done", result["rounds"]),
        ("containers started for them", result["containers"]),
        ("faults", sum(result["faults"].values())),
        ("processes of the operator, one after the other", result["operatorLives"]),
        ("**rules broken** (lost, at once twice, ended otherwise than without faults)", len(result["broken"])),
        ("**Jobs left that live on**", len(result["orphans"])),
        ("rounds begun again after an answer that was lost with a deleted Job", result["repeated"]),
    ]  # fmt: skip


def _cost(result: Result) -> list[tuple[str, object]]:
    calls, rounds = result["calls"], result["rounds"]
    events = calls.get("create events", 0)
    writes = sum(number for kind, number in calls.items() if kind.split()[0] in _WRITES)
    return [
        ("largest status, bytes", result["largest_status"]),
        ("Events made", f"{events} ({events / rounds:.2f} a round)"),
        ("writes asked for", f"{writes} ({writes / rounds:.2f} a round)"),
        ("processor time of the operators", f"{1000 * result['cpuSeconds'] / rounds:.1f} ms a round"),
        ("most memory of any operator", f"{result['mostMB']:.0f} MB"),
    ]  # fmt: skip


def _broken(result: Result) -> list[str]:
    told = [*result["broken"], *(f"Job {name} lives on" for name in result["orphans"])]
    return ["## Broken", "\n".join(f"- {sentence}" for sentence in told)] if told else []


def _memory(result: Result) -> str:
    last = result["lastLife"]
    if last is None:
        return "The last process lived too briefly to tell a slope."
    verdict = (
        "the interval holds 0"
        if last["low"] <= 0 <= last["high"]
        else "it falls"
        if last["high"] < 0
        else "it rises"
    )
    return (
        f"The last process had {last['begun_mb']:.0f} MB in its first whole minute. After {WARM_UP_MINUTES} minutes"
        f" to fill its caches it had"
        f" {last['first_mb']:.0f} MB, and at the last fault, {last['minutes']} minutes later, {last['last_mb']:.0f} MB:"
        f" slope"
        f" {last['per_hour']:+.1f} MB an hour here (95% interval"
        f" {last['low']:+.1f} to"
        f" {last['high']:+.1f}; {verdict}), which is {last['per_hour'] / result['speedUp']:+.2f} MB an hour"
        f" of cluster time. When the last experiments had ended it had {last['end_mb']:.0f} MB."
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[object]], align: str) -> str:
    rule = ("---:" if each == "r" else "---" for each in align.split())
    lines = [head, list(rule), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def picture(result: Result, file: Path) -> None:
    """Rounds done and the operator's memory, over the minutes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (above, below) = pyplot.subplots(2, 1, sharex=True, figsize=(8, 4.5), dpi=110)
    above.plot([at / 60 for at, _ in result["progress"]], [n for _, n in result["progress"]])
    above.set_ylabel("rounds done")
    weights = result["weights"]
    for life in sorted({one[1] for one in weights}):
        of_it = [(at / 60, mb) for at, each, mb in weights if each == life]
        below.plot(*zip(*of_it, strict=True), color="tab:green", linewidth=1)
    below.set_ylim(bottom=0)
    below.set_ylabel("memory, MB")
    below.set_xlabel("minutes; each line is one process of the operator")
    for axes in (above, below):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(file)
    pyplot.close(figure)
