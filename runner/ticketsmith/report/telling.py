"""What the numbers mean, in sentences that follow from the numbers alone. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ticketsmith.experiment.contract import Timing
from ticketsmith.experiment.spec import GateSpec
from ticketsmith.report.findings import Row, compare, null_controls, on_best_path, timings
from ticketsmith.report.known import UNDERTRAINED_BELOW, known_level
from ticketsmith.report.runs import Run
from ticketsmith.report.words import (
    ARM_NAMES,
    TIMES,
    listed,
    percent,
    plural,
    points,
    ratio,
    signed,
    size,
)

Tone = Literal["found", "none", "unfinished"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to the question the experiment asked."""

    sentence: str
    tone: Tone


def gates_in_words(gates: Sequence[GateSpec]) -> str:
    """The rules, short enough to stand in a sentence: the 2-point gate."""
    if not gates:
        return "no gate"
    if len(gates) > 1:
        return "all gates"
    (gate,) = gates
    if gate.metric == "accuracy" and gate.max_drop is not None and gate.worst is None:
        return f"the {100 * gate.max_drop:g}-point gate"
    return f"the {gate.metric} gate"


def gate_rule(gate: GateSpec) -> str:
    """One rule in full."""
    rules: list[str] = []
    if gate.max_drop is not None:
        rules.append(
            f"may drop by at most {100 * gate.max_drop:g} points against the same seed's dense network"
            if gate.metric == "accuracy"
            else f"may rise by at most {gate.max_drop:g} against the same seed's dense network"
        )
    if gate.worst is not None:
        rules.append(
            f"must be at least {percent(gate.worst)}"
            if gate.metric == "accuracy"
            else f"must be at most {gate.worst:g}"
        )
    return f"{gate.metric} on the validation split {' and '.join(rules)}"


def best_row(run: Run, table: Sequence[Row]) -> Row | None:
    """The tickets at the level that the experiment stands for."""
    best = run.status.best
    found = (row for row in table if best and row.arm == "ticket" and row.level == best.level)
    return next(found, None)


def verdict(run: Run, table: Sequence[Row]) -> Verdict:
    """One sentence: how far it can be pruned, and what that saves here."""
    finished = run.status.phase in ("Succeeded", "Failed")
    best, row = run.status.best, best_row(run, table)
    gate = gates_in_words(run.experiment.spec.gates)
    if best is None or row is None:
        if not finished:
            told = run.status.progress or "nothing"
            return Verdict(
                f"Unfinished ({told} done): no ticket has passed {gate} yet.", "unfinished"
            )
        if not any(known.arm == "ticket" for known in table):
            why = (run.status.message or run.status.reason or "no reason was kept").rstrip(".")
            return Verdict(f"No ticket was trained, so there is no answer: {why}.", "none")
        return Verdict(
            f"No level passed {gate}: none of the tickets kept the dense quality.", "none"
        )
    under = f"within {gate}" if run.experiment.spec.gates else "(no gate was set)"
    sentence = (
        f"Up to {percent(row.sparsity)} of the weights can be removed {under} "
        f"({best.seeds_passed} of {plural(best.seeds, 'seed')}); {speed_in_words(row.timings)}."
    )
    if finished:
        return Verdict(sentence, "found")
    return Verdict(
        f"So far, with {run.status.progress or 'some rounds'} done: {sentence}", "unfinished"
    )


def speed_in_words(measured: Sequence[Timing]) -> str:
    """The speed of one level, as the verdict tells it: on the path that suits it best, where that does least."""
    if not measured:
        return "speedup here: not measured"
    there = on_best_path(measured)
    told = min(there, key=lambda timing: timing.low)
    where = f"at batch {told.batch_size}, path {told.path}"
    if (paths := len({timing.path for timing in measured})) > 1:
        where += f", the best of {paths} paths"
    if len(there) > 1:
        where += f", the least of {len(there)} timed"
    if told.is_speedup:
        return f"speedup here: {ratio(told)} {where}"
    if told.is_slowdown:
        return f"speedup here: none, it is slower ({ratio(told)} {where})"
    return f"speedup here: none ({ratio(told)} {where})"


def warnings(run: Run, table: Sequence[Row]) -> list[str]:
    """What a reader must know before trusting anything else."""
    said = [_unfinished(run), _undertrained(run, table), _few_seeds(table), _disturbed(run)]
    return [sentence for sentence in said if sentence] + list(run.notes)


def reading(run: Run, table: Sequence[Row]) -> list[str]:
    """What this means: a sentence or two on each question, none where nothing was measured."""
    best = best_row(run, table)
    said = [_quality(best)]
    said += [_against(table, control) for control in ("reinit", "random")]
    said += [_learning(table, best), _speed(run), _bytes(best)]
    return [sentence for sentence in said if sentence]


def _unfinished(run: Run) -> str | None:
    status = run.status
    failed = [known.status for known in run.rounds if known.status.state == "Failed"]
    message = f" {status.message.rstrip('.')}." if status.message else ""
    if status.phase == "Failed":
        return f"The experiment failed ({status.reason or 'no reason kept'}).{message}"
    if status.phase != "Succeeded":
        told = f", {status.progress} rounds settled" if status.progress else ""
        return f"The experiment is not finished ({status.phase}{told}): figures may still change."
    if failed:
        names = listed([known.name for known in failed[:5]])
        more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
        return f"{plural(len(failed), 'round')} failed and left no figures: {names}{more}."
    return None


def _undertrained(run: Run, table: Sequence[Row]) -> str | None:
    spec = run.experiment.spec
    known = known_level(spec.model.name, spec.dataset.name)
    dense = next((row.accuracy for row in table if row.arm == "dense"), None)
    if known is None or dense is None or dense.mean >= known.accuracy - UNDERTRAINED_BELOW:
        return None
    return (
        f"Undertrained baseline: the dense network reaches {percent(dense.mean)}, which is "
        f"{100 * (known.accuracy - dense.mean):.1f} points below a known {percent(known.accuracy)} "
        f"({known.source}). Pruning results on top of it may not carry over."
    )


def _few_seeds(table: Sequence[Row]) -> str | None:
    dense = next((row for row in table if row.arm == "dense"), None)
    if dense is None or len(dense.accuracies) != 1:
        return None
    return "One seed only: no interval can be given, and differences may be chance."


def _disturbed(run: Run) -> str | None:
    moved = [t for t in null_controls(run) if not t.low <= 1.0 <= t.high]
    if not moved:
        return None
    return (
        "The timing was disturbed: the dense network against itself gave "
        f"{listed([f'{ratio(t)} at batch {t.batch_size}' for t in moved])}, "
        "so ratios this close to 1 mean nothing."
    )


def _quality(best: Row | None) -> str | None:
    if best is None or best.accuracy is None or best.drop is None:
        return None
    where = (
        f"At {percent(best.sparsity)} sparsity the tickets reach {percent(best.accuracy.mean, 2)} "
        "on the test set"
    )
    moved = (
        f"{signed(abs(100 * best.drop.mean))} points {'below' if best.drop.mean > 0 else 'above'}"
    )
    if best.drop.half_width is None:
        return f"{where}, {moved} their dense network (one seed, so no interval)."
    if best.drop.excludes_zero:
        return (
            f"{where}, {moved} their dense networks; drop {points(best.drop)} points, 95% interval."
        )
    return (
        f"{where}. That cannot be told from their dense networks: the drop is {points(best.drop)} points, "
        "and its 95% interval includes 0."
    )


def _against(table: Sequence[Row], control: str) -> str | None:
    found = compare(table, control)
    if found is None:
        return None
    name = {"reinit": "re-initialised networks", "random": "random masks"}[control]
    where = f"Tickets against {name} at {percent(found.sparsity)} sparsity"
    figure = f"{points(found.difference)} points, {plural(found.difference.n, 'seed')}, paired"
    if found.difference.half_width is None:
        return f"{where}: inconclusive, since one seed gives no interval ({figure})."
    if not found.difference.excludes_zero:
        return f"{where}: inconclusive, since the 95% interval of the difference includes 0 ({figure})."
    if found.difference.mean < 0:
        return f"{where}: the tickets do worse ({figure})."
    lesson = {
        "reinit": "the weights they restart from matter here, not the mask alone",
        "random": "which weights are kept matters here, not the count per layer alone",
    }[control]
    return f"{where}: the tickets do better ({figure}), so {lesson}."


def _learning(table: Sequence[Row], best: Row | None) -> str | None:
    dense = next((row.stopping for row in table if row.arm == "dense"), None)
    if best is None or best.stopping is None or dense is None:
        return None
    return (
        f"Validation loss is lowest after {best.stopping.mean:,.0f} steps at {percent(best.sparsity)} sparsity, "
        f"and after {dense.mean:,.0f} in the dense network (means over the seeds): "
        "that is where early stopping would have ended."
    )


def _speed(run: Run) -> str | None:
    measured = timings(run)
    if not measured:
        return "No speed was measured in this run, so none is claimed."
    quick = [timing for timing in measured if timing.is_speedup]
    paths = listed(sorted({timing.path for timing in measured}))
    if not quick:
        count = plural(len(measured), "timing")
        return (
            f"None of the {count} (path {paths}) shows a speedup. On the dense path pruned weights are stored and "
            "multiplied as zeros, so sparsity alone does not save time there."
            if paths == "dense"
            else f"None of the {count} (paths {paths}) shows a speedup."
        )
    return (
        f"{len(quick)} of {plural(len(measured), 'timing')} lie above 1 with their whole interval (path {paths}), "
        f"from {min(t.speedup for t in quick):.2f} to {max(t.speedup for t in quick):.2f}{TIMES}."
    )


def _bytes(best: Row | None) -> str | None:
    if best is None or best.dense_bytes is None or best.sparse_bytes is None:
        return None
    less = best.dense_bytes / best.sparse_bytes
    return (
        f"{ARM_NAMES['ticket']} files at that level take {size(best.dense_bytes)} as plain safetensors and "
        f"{size(best.sparse_bytes)} in the sparse format, {less:.1f}{TIMES} less; "
        "both files were written and measured."
    )
