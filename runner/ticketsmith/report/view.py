"""What a report says of one run, in the order it is said; HTML, Markdown and PDF only lay it out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import yaml

from ticketsmith.experiment.base import API_VERSION, KIND
from ticketsmith.report.findings import Row, on_best_path, rows, smallest_batch
from ticketsmith.report.pictures import Picture, pictures_of
from ticketsmith.report.runs import Run
from ticketsmith.report.tables import (
    Table,
    environments,
    key_results,
    results,
    speeds,
    spending,
)
from ticketsmith.report.telling import (
    Verdict,
    best_row,
    gate_rule,
    reading,
    verdict,
    warnings,
)
from ticketsmith.report.words import MISSING, percent, plural, points, size, verdicts


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure large enough to be seen first."""

    label: str
    value: str
    detail: str


@dataclass(frozen=True, slots=True)
class View:
    """One run, told."""

    label: str
    title: str
    subtitle: str
    verdict: Verdict
    facts: tuple[Fact, ...]
    warnings: tuple[str, ...]
    reading: tuple[str, ...]
    key_results: Table
    results: Table
    speeds: Table | None
    pictures: tuple[Picture, ...]
    spending: Table
    environments: Table
    method: tuple[str, ...]
    spec: str
    """The experiment as YAML, without status."""
    seeds: str
    config_hash: str
    """As the driver prints it, and as it ends the run directory's name."""
    finished: str

    def picture(self, name: str) -> Picture | None:
        """The picture whose name ends so, e.g. report_plot."""
        return next((one for one in self.pictures if one.name.endswith(name)), None)


def view(run: Run, prefix: str = "") -> View:
    """Tell one run; `prefix` begins its pictures' names."""
    table = rows(run)
    spec = run.experiment.spec
    return View(
        label=run.label,
        title=run.experiment.metadata.name,
        subtitle=f"{spec.model.name} on {spec.dataset.name}, {plural(len(spec.seeds), 'seed')}",
        verdict=verdict(run, table),
        facts=_facts(run, table),
        warnings=tuple(warnings(run, table)),
        reading=tuple(reading(run, table)),
        key_results=key_results(run, table),
        results=results(run, table),
        speeds=speeds(run, table),
        pictures=tuple(pictures_of(run, table, prefix)),
        spending=spending(run),
        environments=environments(run),
        method=_method(run, table),
        spec=_spec(run),
        seeds=", ".join(str(seed) for seed in spec.seeds),
        config_hash=spec.config_hash,
        finished=_day(run.status.finished_at),
    )


def _facts(run: Run, table: Sequence[Row]) -> tuple[Fact, ...]:
    row = best_row(run, table)
    dense = next((row for row in table if row.arm == "dense"), None)
    if row is None:
        if dense is None or dense.accuracy is None:
            return ()
        return (Fact("Dense accuracy", percent(dense.accuracy.mean, 2), "on the test set"),)
    facts = [
        Fact(
            "Weights removed",
            percent(row.sparsity),
            f"{row.remaining or 0:,.0f} of {row.prunable or 0:,} prunable left",
        )
    ]
    if row.accuracy and row.drop:
        facts.append(
            Fact("Accuracy", percent(row.accuracy.mean, 2), f"drop {points(row.drop)} points")
        )
    there = on_best_path(row.timings)
    quick = bool(there) and all(timing.is_speedup for timing in there)
    least = min((timing.speedup for timing in there), default=0.0)
    facts.append(
        Fact(
            f"Speedup at batch {smallest_batch(run)}" if row.timings else "Speedup",
            f"{least:.2f}\N{MULTIPLICATION SIGN}" if quick else "none" if row.timings else MISSING,
            verdicts(row.timings),
        )
    )
    if row.dense_bytes and row.sparse_bytes:
        facts.append(
            Fact("Sparse file", size(row.sparse_bytes), f"dense file {size(row.dense_bytes)}")
        )
    return tuple(facts)


def _method(run: Run, table: Sequence[Row]) -> tuple[str, ...]:
    spec = run.experiment.spec
    excluded = (
        f", except in modules matching {', '.join(spec.pruning.exclude)}"
        if spec.pruning.exclude
        else ""
    )
    prunable = next((row.prunable for row in table if row.prunable), None)
    parameters = next((r.parameters for row in table for r in row.results if r.parameters), None)
    counted = (
        f" Here that is {prunable:,} of {parameters:,} parameters."
        if prunable and parameters
        else ""
    )
    told = [
        "Sparsity is the fraction of the prunable weights that are zero by the mask. Prunable are the weights of "
        f"convolutions and linear layers{excluded}; biases and normalisation are neither pruned nor counted."
        f"{counted}",
        "Accuracy is measured on the test set, once a round. Intervals of accuracies and differences are 95% "
        "t-intervals over seeds; a drop is paired, each network against the dense network of its own seed.",
    ]
    rules = "; ".join(gate_rule(gate) for gate in spec.gates)
    told.append(
        f"Gate: {rules}. It judges tickets; controls are held to the same rule here for comparison."
        if rules
        else "No gate was set."
    )
    if run.benchmarks:
        counts = run.benchmarks[0]
        told.append(
            f"Speed: {counts.repeats} interleaved repeats after {counts.warmup} warm-up passes; the median of "
            "paired ratios to two copies of the dense network, with an interval that covers the 95% bootstrap "
            "intervals over either. A speedup is spoken of only where "
            "the whole interval lies above 1."
        )
    return tuple(told)


def _spec(run: Run) -> str:
    resource = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": run.experiment.metadata.name},
        "spec": run.experiment.spec.document(),
    }
    return yaml.safe_dump(resource, sort_keys=False, allow_unicode=True, width=100)


def _day(moment: str | None) -> str:
    if moment is None:
        return "not finished"
    return f"finished {datetime.fromisoformat(moment):%Y-%m-%d %H:%M} UTC"
