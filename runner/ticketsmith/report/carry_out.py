"""Carry out a report round: report on the experiment as it stands, into the store."""

import time
from collections.abc import Callable

from pydantic import ValidationError

from ticketsmith.experiment.contract import ReportRound, RoundResult
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.results import RESULT, Progress
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.report.runs import read_run
from ticketsmith.report.write import render
from ticketsmith.stores.base import Store


def carry_out(
    task: ReportRound, store: Store, *, progress: Callable[[Progress], None]
) -> RoundResult:
    """Do the round, or answer from its result.json if it is done.

    Raises:
        BadSpec: task.resource is not a PruningExperiment, or result.json is damaged.
    """
    with store.exclusive(task.key):
        text = store.read_text(task.key, RESULT)
        if text is not None:
            return _finished(text, task.key)
        progress(Progress(round=task.name, doing="drawing"))
        return _work(task, store)


def _finished(text: str, key: str) -> RoundResult:
    try:
        return RoundResult.model_validate_json(text)
    except ValidationError as error:
        raise BadSpec(
            f"{key}/{RESULT} is damaged ({error.error_count()} errors): remove it to have the report made again"
        ) from error


def _work(task: ReportRound, store: Store) -> RoundResult:
    begun = time.time()
    try:
        experiment = PruningExperiment.model_validate(task.resource)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadSpec(
            f"resource.{where} of the report round is wrong: {first['msg']}; plan the round again"
        ) from error
    run = read_run(experiment, store, experiment.metadata.name)
    files: dict[str, str] = {}
    for name, content in render([run]).items():
        file = store.scratch(task.key) / name
        file.write_bytes(content)
        files[name] = store.put(task.key, name, file)
    result = RoundResult(
        key=task.key,
        arm="report",
        started_at=begun,
        duration_seconds=time.time() - begun,
        files=files,
    )
    store.create_text(task.key, RESULT, result.model_dump_json(exclude_none=True))
    return result
