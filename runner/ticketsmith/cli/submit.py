"""ticketsmith submit: hand an experiment to a cluster, and watch it as if it ran here."""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from ticketsmith.cli.files import read_experiment, read_yaml
from ticketsmith.cli.output import people, say
from ticketsmith.cli.plain import share
from ticketsmith.cli.verdict import exit_code, verdict
from ticketsmith.cli.views import watching
from ticketsmith.cli.where import flags, reach
from ticketsmith.cluster.connect import Wanted
from ticketsmith.cluster.follow import follow
from ticketsmith.cluster.kube import Kube
from ticketsmith.cluster.problems import Refused
from ticketsmith.cluster.resource import Seen
from ticketsmith.cluster.submit import Submitted, submit
from ticketsmith.experiment.status import Status
from ticketsmith.experiment.steps import steps

_DONE = {"created": "submitted", "changed": "changed", "unchanged": "unchanged"}
_WOULD = {"created": "would be created", "changed": "would change", "unchanged": "would not change"}


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says besides the file."""

    wanted: Wanted
    watch: bool = False
    dry_run: bool = False
    program: str = "ticketsmith"
    """How the person called it, for the commands that are named to them."""


def submit_file(file: Path, options: Options) -> int:
    """Submit the experiment in `file`; returns the exit code. Problem for anything a person must put right."""
    experiment, text = read_experiment(file)
    namespace = options.wanted.namespace or experiment.metadata.namespace
    kube = reach(replace(options.wanted, namespace=namespace))
    try:
        done = submit(kube, read_yaml(text), dry_run=options.dry_run)
    except Refused as refused:
        raise Refused(f"{file}: {refused}", refused.code) from refused
    console = people(None)
    say(console, _what_happened(done, kube, options.dry_run))
    if options.dry_run:
        return 0
    seen = done.seen
    if not options.watch:
        say(console, *_further_commands(file, kube, options, seen.name))
        return 0
    say(console, f"Config Hash: {experiment.spec.config_hash}", "")
    try:
        with watching(console) as view:
            seen = follow(kube, seen, steps(experiment.spec), view)
    except KeyboardInterrupt:
        say(console, "", f"Watching ends; {seen.name} goes on.")
        say(console, *_further_commands(file, kube, options, seen.name))
        return 130
    return _conclude(console, kube, options, seen)


def _what_happened(done: Submitted, kube: Kube, dry_run: bool) -> str:
    where = f"namespace {kube.namespace}" + (f" (context {kube.context})" if kube.context else "")
    fields = f": {', '.join(done.fields)}" if done.fields else ""
    if dry_run:
        return f"{done.seen.name} {_WOULD[done.outcome]} in {where}{fields}. Dry run: nothing was kept."
    return f"{done.seen.name} is {_DONE[done.outcome]} in {where}{fields}."


def _conclude(console: Console, kube: Kube, options: Options, seen: Seen) -> int:
    status = seen.status or Status()
    if share(status)[0]:
        report = f"{options.program} report {seen.name}{flags(kube, options.wanted)}"
        say(console, "", f"Report: {report}")
    say(console, "", verdict(status))
    return exit_code(status)


def _further_commands(file: Path, kube: Kube, options: Options, name: str) -> list[str]:
    """How to see more of it, now or later."""
    where = flags(kube, options.wanted)
    return [
        f"  {options.program} {shlex.join(['submit', str(file)])}{where} --watch",
        f"  {options.program} status {name}{where}",
        f"  {options.program} logs {name}{where} --follow",
    ]
