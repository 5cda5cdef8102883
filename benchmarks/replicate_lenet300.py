"""Set a run of examples/mnist-lenet300.yaml beside an independent replication, claim by claim.

    ticketsmith run examples/mnist-lenet300.yaml
    python benchmarks/replicate_lenet300.py runs/mnist-lenet300_* docs/results/mnist-lenet300

Reads the run's result files, and writes README.md and figures.json into the folder that is named. The reference
figures are from kowshikgunda71/repro-lottery-ticket (five seeds, LeNet-300-100 on MNIST, the protocol of Frankle &
Carbin 2019): nothing else here is typed in.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ticketsmith.report.runs import Run, load_run
from ticketsmith.report.stats import Estimate, estimate, paired

BySeed = dict[int, float]


@dataclass(frozen=True)
class Claim:
    """One statement of the replication, and the rule by which ours confirms or refutes it."""

    text: str
    reference: float
    """Percentage points (differences), percent (levels) or a ratio."""
    unit: str
    ours: Estimate
    margin: float | None = None
    """parity: how much worse still counts as equal. None: the direction decides."""

    @property
    def verdict(self) -> str:
        """By the 95% interval: of the difference for parity and direction, of the mean for a level."""
        low, high = self.ours.low, self.ours.high
        if low is None or high is None:
            return "INCONCLUSIVE"
        if self.margin is not None:
            at_least = self.reference - self.margin if self.unit == "%" else -self.margin
            at_most = self.reference + self.margin if self.unit == "%" else float("inf")
            if at_least <= low and high <= at_most:
                return "REPRODUCED"
            return "NOT REPRODUCED" if high < at_least or low > at_most else "INCONCLUSIVE"
        zero = 1.0 if self.unit == "x" else 0.0
        away = low > zero if self.reference > zero else high < zero
        against = high < zero if self.reference > zero else low > zero
        return "REPRODUCED" if away else "NOT REPRODUCED" if against else "INCONCLUSIVE"


def by_seed(run: Run, arm: str, level: int, metric: str) -> BySeed:
    """One figure of every seed's round, from its result.json; accuracies in percent."""
    found: BySeed = {}
    for one in run.rounds:
        result = one.result
        if result is None or (result.arm, result.level) != (arm, level) or result.seed is None:
            continue
        if metric == "bestIteration":
            found[result.seed] = float(result.best_iteration or 0)
        else:
            found[result.seed] = 100.0 * result.metrics[metric]
    return found


def level_nearest(run: Run, left: float) -> int:
    """The level whose tickets keep the fraction `left`, or come nearest to it."""
    kept = {
        one.result.level: 1.0 - one.result.sparsity
        for one in run.rounds
        if one.result and one.result.arm == "ticket" and one.result.level and one.result.sparsity
    }
    return min(kept, key=lambda level: abs(kept[level] - left))


def ratio(first: BySeed, second: BySeed) -> Estimate:
    """Mean over seeds of first over second."""
    return estimate([first[seed] / second[seed] for seed in sorted(first.keys() & second.keys())])


def claims(run: Run) -> list[Claim]:
    """What the replication found, with what this run found."""
    at21, at3 = level_nearest(run, 0.211), level_nearest(run, 0.036)
    dense = by_seed(run, "dense", 0, "accuracy")

    def ticket(level: int, metric: str = "accuracy") -> BySeed:
        return by_seed(run, "ticket", level, metric)

    def reinit(level: int, metric: str = "accuracy") -> BySeed:
        return by_seed(run, "reinit", level, metric)

    def difference(first: BySeed, second: BySeed) -> Estimate:
        found = paired(first, second)
        if found is None:
            raise SystemExit(
                "replicate_lenet300: the run lacks rounds to compare: let it end first"
            )
        return found

    steps = by_seed(run, "dense", 0, "bestIteration")
    return [
        Claim("dense test accuracy is 98.05%", 98.05, "%", estimate(list(dense.values())), 0.3),
        Claim(
            "tickets with 21.1% left reach 98.33%",
            98.33,
            "%",
            estimate(list(ticket(at21).values())),
            0.3,
        ),
        Claim(
            "tickets with 3.6% left reach 98.16%",
            98.16,
            "%",
            estimate(list(ticket(at3).values())),
            0.3,
        ),
        Claim(
            "tickets with 21.1% left beat the dense network",
            0.28,
            "pp",
            difference(ticket(at21), dense),
        ),
        Claim(
            "tickets with 3.6% left match the dense network (within 0.2 pp)",
            0.11,
            "pp",
            difference(ticket(at3), dense),
            0.2,
        ),
        Claim(
            "reinit with 21.1% left falls behind the ticket",
            -0.39,
            "pp",
            difference(reinit(at21), ticket(at21)),
        ),
        Claim(
            "reinit with 3.6% left falls behind the ticket",
            -1.07,
            "pp",
            difference(reinit(at3), ticket(at3)),
        ),
        Claim(
            "tickets with 21.1% left reach their lowest validation loss earlier",
            0.79,
            "x",
            ratio(ticket(at21, "bestIteration"), steps),
        ),
        Claim(
            "reinit with 21.1% left reaches it later than the dense network",
            1.94,
            "x",
            ratio(reinit(at21, "bestIteration"), steps),
        ),
    ]


def show(value: Estimate, unit: str) -> str:
    digits = 2
    sign = "+" if unit == "pp" else ""
    shown = f"{value.mean:{sign}.{digits}f}"
    if value.low is None or value.high is None:
        return shown
    return f"{shown} [{value.low:{sign}.{digits}f}, {value.high:{sign}.{digits}f}]"


def ladder(run: Run) -> list[dict[str, object]]:
    """One row a level: what is left, accuracies and early-stopping steps of the arms."""
    levels = sorted(
        {
            o.result.level
            for o in run.rounds
            if o.result and o.result.arm == "ticket" and o.result.level
        }
    )
    rows: list[dict[str, object]] = []
    for level in [0, *levels]:
        arm = "ticket" if level else "dense"
        example = next(
            o.result
            for o in run.rounds
            if o.result and (o.result.arm, o.result.level) == (arm, level)
        )
        row: dict[str, object] = {
            "level": level,
            "remaining": example.remaining,
            "prunable": example.prunable,
        }
        for name in (arm, "reinit", "random"):
            values = by_seed(run, name, level, "accuracy")
            if values:
                row[name] = asdict(estimate(list(values.values()))) | {"values": values}
                row[name + "Steps"] = asdict(
                    estimate(list(by_seed(run, name, level, "bestIteration").values()))
                )
        rows.append(row)
    return rows


def page(run: Run, command: str) -> str:
    """The comparison as Markdown."""
    seeds = sorted({o.result.seed for o in run.rounds if o.result and o.result.seed is not None})
    environment = next(o.environment for o in run.rounds if o.environment)
    training = run.experiment.spec.training
    lines = [
        "# LeNet-300-100 on MNIST: the 2019 curve, replicated",
        "",
        f"`{command}`: {len(seeds)} seeds ({', '.join(map(str, seeds))}), {training.duration} of batch "
        f"{training.batch_size}, {training.optimizer.name} at {training.optimizer.lr}, on real MNIST (55,000 training, "
        "5,000 validation, 10,000 test images). Test accuracy at the step of the lowest validation loss. Intervals "
        "are 95% t-intervals over seeds; differences are paired by seed. "
        f"Made with {environment.processor}, torch {environment.torch}, {environment.threads} thread a round.",
        "",
        "![Quality against sparsity](quality.png)",
        "",
        "| claim of the replication | theirs | ours | verdict |",
        "| --- | ---: | ---: | --- |",
    ]
    for claim in claims(run):
        unit = {"%": "%", "pp": " pp", "x": "x"}[claim.unit]
        sign = "+" if claim.unit == "pp" else ""
        lines.append(
            f"| {claim.text} | {claim.reference:{sign}.2f}{unit} | {show(claim.ours, claim.unit)}{unit} "
            f"| {claim.verdict} |"
        )
    lines += [
        "",
        "A level (%) is reproduced if our whole interval lies within 0.3 points of theirs; parity if the difference "
        "is surely above -0.2 points; a direction if our interval excludes zero (or a ratio of 1) on their side.",
        "",
        "| weights left | of prunable | ticket, % | reinit, % | early stop: ticket | reinit |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in ladder(run):
        ticket = row.get("ticket") or row["dense"]
        steps = row.get("ticketSteps") or row["denseSteps"]
        remaining, prunable = int(str(row["remaining"])), int(str(row["prunable"]))

        def cell(value: object, steps_: bool = False) -> str:
            if not isinstance(value, dict):
                return ""
            half = value["half_width"]
            digits = 0 if steps_ else 2
            return f"{value['mean']:.{digits}f}" + ("" if half is None else f" ± {half:.{digits}f}")

        lines.append(
            f"| {remaining:,} | {remaining / prunable:.2%} | {cell(ticket)} | {cell(row.get('reinit'))} "
            f"| {cell(steps, True)} | {cell(row.get('reinitSteps'), True)} |"
        )
    lines += [
        "",
        "Theirs: kowshikgunda71/repro-lottery-ticket, five seeds, 50,000 steps. Its levels keep 21.07% and 3.58%: it "
        "prunes every layer by 20% and the output layer by 10%, where ours hits the whole network's target exactly "
        "and lets the other layers give what the output layer does not.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="run directory of examples/mnist-lenet300.yaml")
    parser.add_argument("out", type=Path, help="folder for README.md and figures.json")
    options = parser.parse_args()
    run = load_run(options.run)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "README.md").write_text(
        page(run, "ticketsmith run examples/mnist-lenet300.yaml")
    )
    figures = {
        "claims": [asdict(c) | {"verdict": c.verdict} for c in claims(run)],
        "levels": ladder(run),
    }
    (options.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    for claim in claims(run):
        print(
            f"{claim.verdict:15} {claim.text}: {show(claim.ours, claim.unit)} (theirs {claim.reference})"
        )


if __name__ == "__main__":
    main()
