"""ticketsmith validate: say of each file whether it could run here, one sentence for each that could not."""

import sys
from collections.abc import Sequence
from pathlib import Path

from ticketsmith.cli.files import read_experiment
from ticketsmith.cli.words import plural
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.steps import steps
from ticketsmith.local import tasks
from ticketsmith.local.children import call


def validate(files: Sequence[Path]) -> int:
    """Check the files; 0 if all are good, else 2."""
    bad = 0
    for file in files:
        try:
            print(f"{file}: {_check(file)}")
        except BadSpec as problem:
            print(f"ticketsmith: {problem}", file=sys.stderr)
            bad += 1
    return int(BadSpec.exit_code) if bad else 0


def _check(file: Path) -> str:
    spec = read_experiment(file)[0].spec
    try:
        call(tasks.preflight, spec)
    except BadSpec as problem:
        raise BadSpec(f"{file}: {problem}") from problem
    levels = len(spec.sparsities.ladder())
    return (
        f"good: {spec.model.name} on {spec.dataset.name}, {plural(len(steps(spec)), 'round')} "
        f"({plural(len(spec.seeds), 'seed')}, {plural(levels, 'level')})"
    )
