"""ticketsmith plan: what would run, in which order, and what it would take."""

import time
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.tree import Tree

from ticketsmith import __version__
from ticketsmith.cli.adjust import Changes, adjusted, read_price
from ticketsmith.cli.files import read_experiment
from ticketsmith.cli.output import Form, people, say, write
from ticketsmith.cli.place import prices_here, store_uri
from ticketsmith.cli.words import duration, percent, plural
from ticketsmith.experiment.decision import Prices
from ticketsmith.experiment.estimate import Estimate
from ticketsmith.experiment.results import RESULT
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.local import tasks
from ticketsmith.local.children import call
from ticketsmith.local.machine import Machine
from ticketsmith.local.outlook import Ahead, estimate_rest, look_ahead
from ticketsmith.stores import open_store


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says besides the file."""

    changes: Changes
    runs: Path
    price: str | None
    currency: str
    form: Form | None
    calibrate: bool


@dataclass(frozen=True, slots=True)
class Cost:
    """The estimate, and the measurements it rests on."""

    seconds: dict[str, float]
    """Of one round, by arm."""
    estimate: Estimate
    prices: Prices
    step_seconds: float
    steps_timed: int
    steps: int
    """Optimizer steps of one round."""


def show_plan(file: Path, options: Options) -> None:
    """Print the plan of the experiment in `file`; Problem for anything a person must put right."""
    price = read_price(options.price)
    given, _ = read_experiment(file)
    experiment = adjusted(given, options.changes)
    machine = call(tasks.preflight, experiment.spec)
    store = open_store(store_uri(experiment, options.runs))
    ahead = look_ahead(
        experiment, __version__, lambda key: store.read_text(key, RESULT) is not None
    )
    cost = None
    if options.calibrate:
        cost = _estimate(experiment, machine, ahead, price, options.currency)
    if options.form is not None:
        write(_document(experiment, ahead, cost), options.form)
    else:
        _show(people(None), experiment, machine, ahead, cost)


def _estimate(
    experiment: PruningExperiment,
    machine: Machine,
    ahead: tuple[Ahead, ...],
    price: Decimal | None,
    currency: str,
) -> Cost:
    places = experiment.spec.limits.parallelism or machine.capacity
    threads = machine.threads(places)
    measured = call(tasks.calibrate, experiment.spec, threads)
    begun = time.monotonic()
    call(tasks.shortest_round, experiment.spec, threads)
    training = measured.round_seconds(time.monotonic() - begun)
    networks = 1 + len(experiment.spec.sparsities.ladder())
    seconds = dict.fromkeys(("dense", "ticket", "reinit", "random"), training)
    seconds |= {"benchmark": measured.benchmark_seconds * networks, "report": 0.0}
    prices = prices_here(price, currency, machine, experiment)
    return Cost(
        seconds=seconds,
        estimate=estimate_rest(ahead, seconds, places, prices),
        prices=prices,
        step_seconds=measured.step_seconds,
        steps_timed=measured.steps_timed,
        steps=measured.round_steps,
    )


def _document(
    experiment: PruningExperiment, ahead: tuple[Ahead, ...], cost: Cost | None
) -> dict[str, Any]:
    rounds = [
        {
            "name": one.step.name,
            "arm": one.step.arm,
            "seed": one.step.seed,
            "level": one.step.level,
            "sparsity": one.step.sparsity,
            "parents": list(one.step.parents),
            "key": one.key,
            "done": one.done,
        }
        for one in ahead
    ]
    document: dict[str, Any] = {
        "experiment": experiment.metadata.name,
        "configHash": experiment.spec.config_hash,
        "rounds": rounds,
    }
    if cost is not None:
        total = cost.estimate
        document["estimate"] = {
            "wallSeconds": round(total.wall_seconds, 3),
            "workSeconds": round(total.work_seconds, 3),
            "gpuSeconds": round(total.gpu_seconds, 3),
            "cost": None if total.cost is None else str(total.cost),
            "currency": cost.prices.currency,
            "roundSeconds": {arm: round(s, 3) for arm, s in cost.seconds.items() if s},
            "stepSeconds": cost.step_seconds,
            "stepsTimed": cost.steps_timed,
            "stepsPerRound": cost.steps,
        }
    return document


def _show(
    console: Console,
    experiment: PruningExperiment,
    machine: Machine,
    ahead: tuple[Ahead, ...],
    cost: Cost | None,
) -> None:
    spec = experiment.spec
    say(console, f"Experiment: {experiment.metadata.name}", f"Config Hash: {spec.config_hash}")
    say(console, f"Device: {machine.device}", "")
    say(console, f"{spec.model.name} on {spec.dataset.name}; the rounds of seed {spec.seeds[0]}:")
    console.print(_tree(ahead, spec.seeds[0]))
    others = ", ".join(str(seed) for seed in spec.seeds[1:])
    if others:
        say(console, f"The same for each other seed ({others}); then, after all of them:")
    for one in ahead:
        if not one.step.trains:
            say(console, f"  {one.step.name}")
    say(console, "")
    console.print(_table(ahead, cost))
    _show_cost(console, experiment, machine, ahead, cost)


def _tree(ahead: tuple[Ahead, ...], seed: int) -> Tree:
    """Each round below the one it waits for; what a ticket of an iterative ladder waits for is the one before."""
    mine = [one for one in ahead if one.step.seed == seed]
    nodes: dict[str, Tree] = {}
    for one in mine:
        step = one.step
        label = step.name + (f"  {percent(step.sparsity)}" if step.level and step.sparsity else "")
        label += "  (in the store)" if one.done else ""
        if step.parents:
            nodes[step.name] = nodes[step.parents[-1]].add(label)
        else:
            nodes[step.name] = Tree(label)
    return nodes[mine[0].step.name]


def _table(ahead: tuple[Ahead, ...], cost: Cost | None) -> Table:
    table = Table("arm", box=None, pad_edge=False)
    for heading in ("rounds", "in the store", "to do", *(["each, about"] if cost else [])):
        table.add_column(heading, justify="right")
    done = Counter(one.step.arm for one in ahead if one.done)
    for arm, count in Counter(one.step.arm for one in ahead).items():
        each = []
        if cost:
            each = [duration(cost.seconds[arm]) if cost.seconds[arm] else "not estimated"]
        table.add_row(arm, str(count), str(done[arm]), str(count - done[arm]), *each)
    return table


def _show_cost(
    console: Console,
    experiment: PruningExperiment,
    machine: Machine,
    ahead: tuple[Ahead, ...],
    cost: Cost | None,
) -> None:
    left = sum(not one.done for one in ahead)
    say(console, "")
    if cost is None:
        say(
            console,
            f"{plural(left, 'round')} to do; time and cost were not estimated (--no-calibrate).",
        )
        return
    places = experiment.spec.limits.parallelism or machine.capacity
    total = cost.estimate
    say(
        console,
        f"{plural(left, 'round')} to do, {places} at once: about {duration(total.wall_seconds)} "
        f"({duration(total.work_seconds)} of work), if every gate passes.",
        f"Measured here, one process alone: {cost.step_seconds * 1000:.3g} ms a training step (median of "
        f"{cost.steps_timed}; a round has {cost.steps:,}) and one whole round of the fewest steps. "
        "Rounds side by side slow each other down somewhat.",
    )
    if total.cost is not None:
        say(console, f"Cost: about {total.cost:.4f} {cost.prices.currency}.")
    else:
        say(console, "Cost: not known; give what an hour of this machine costs with --price.")
