"""Results without a picture of their own: quality, checks, and whatever else there is."""

from collections.abc import Iterator, Mapping
from typing import Any

from ticketsmith.report.tables import Table
from ticketsmith.report.tickets.section import Result, Section, figure
from ticketsmith.report.view import Fact
from ticketsmith.report.words import listed, percent, plural


def is_quality(result: Result) -> bool:
    return {"performance_retention", "retention_definition", "ticket_performance"} <= result.keys()


def quality(name: str, result: Result) -> Section:
    """A result of `compute_lottery_ticket_quality`, told."""
    pruned = result["total"] - result["kept"]
    same = pruned and result["zero_before"] == pruned and result["dense_loss"] is not None
    rows = tuple(
        (label, *(figure(result[f"{arm}_{measure}"], 5) for arm in ("dense", "ticket")))
        for label, measure in (("Loss", "loss"), ("Accuracy", "accuracy"))
    )
    return Section(
        name,
        "Ticket quality",
        f"At {percent(result['sparsity'])} sparsity the ticket keeps {percent(result['performance_retention'])} of the "
        f"dense network's {result['metric']}.",
        (
            Fact("Performance kept", percent(result["performance_retention"]), result["metric"]),
            Fact("Ticket", figure(result["ticket_performance"]), result["metric"]),
            Fact("Dense", figure(result["dense_performance"]), result["metric"]),
            Fact(
                "Sparsity",
                percent(result["sparsity"], 2),
                f"{result['kept']:,} of {result['total']:,} left",
            ),
        ),
        tables=(Table("Measured", ("Figure", "Dense", "Ticket"), rows),),
        method=(
            f"Performance kept is {result['retention_definition']}, over {result['samples']:,} samples.",
        ),
        cautions=(
            (
                "Every pruned weight was zero before the mask was applied: dense network and ticket are one network, "
                "and what is kept says nothing.",
            )
            if same
            else ()
        ),
    )


def is_checks(result: Result) -> bool:
    return {"valid", "checks", "failed"} <= result.keys()


def checks(name: str, result: Result) -> Section:
    """A result of `validate_pruning_correctness`, told."""
    found, failed, skipped = result["checks"], result["failed"], result["not_checked"]
    words = {True: "passed", False: "FAILED", None: "not checked"}
    rows = tuple(
        (check.replace("_", " "), words[said["passed"]], said["message"])
        for check, said in found.items()
    )
    made = len(found) - len(skipped)
    if failed:
        names = listed([check.replace("_", " ") for check in failed])
        sentence = f"The network is not pruned as it should be. Failed: {names}."
    else:
        sentence = f"All {plural(made, 'check')} that were made passed."
    return Section(
        name,
        "Correctness",
        sentence,
        (
            Fact("Valid", figure(bool(result["valid"])), f"{plural(made, 'check')} made"),
            Fact(
                "Failed", f"{len(failed)}", ", ".join(f.replace("_", " ") for f in failed) or "none"
            ),
            Fact("Not checked", f"{len(skipped)}", "nobody asked, or nothing to check"),
        ),
        tables=(
            Table(
                "Checks",
                ("Check", "Result", "What was found"),
                rows,
                words=frozenset({0, 1, 2}),
                strong=frozenset(
                    n for n, said in enumerate(found.values()) if said["passed"] is False
                ),
            ),
        ),
    )


def anything(name: str, result: Any) -> Section:
    """Whatever is not known: its figures, by name."""
    rows = tuple(_figures("", result))[:200]
    return Section(
        name,
        "Figures",
        f"{plural(len(rows), 'figure')} without a picture; all of it is in results.json.",
        tables=(Table("Figures", ("Name", "Value"), rows),) if rows else (),
    )


def _figures(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _figures(f"{path}.{name}" if path else str(name), inner)
    elif isinstance(value, bool | int | float | str) or value is None:
        yield path or "value", figure(value)[:120]
    elif isinstance(value, list | tuple) and len(value) <= 20:
        for number, inner in enumerate(value):
            yield from _figures(f"{path}[{number}]", inner)
