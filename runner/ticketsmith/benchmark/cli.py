"""`ticketsmith benchmark ARTIFACT...`: time saved networks beside their dense one, here and now."""

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.results import BenchmarkDetails
from ticketsmith.experiment.spec import BenchmarkSpec

if TYPE_CHECKING:
    from ticketsmith.benchmark.artifacts import Artifact

_DEFAULTS = BenchmarkSpec()


def command(
    artifacts: Annotated[
        list[Path],
        typer.Argument(metavar="ARTIFACT...", help="Folders <store>/<key> of finished rounds."),
    ],
    dense: Annotated[
        Path | None,
        typer.Option(
            help="The dense network's folder; the one they were pruned from if not given."
        ),
    ] = None,
    batch_sizes: Annotated[str, typer.Option(help="Batch sizes, with commas between.")] = ",".join(
        map(str, _DEFAULTS.batch_sizes)
    ),
    repeats: Annotated[
        int, typer.Option(min=5, max=100_000, help="Timed samples of each network.")
    ] = (_DEFAULTS.repeats),
    warmup: Annotated[
        int, typer.Option(min=0, max=100_000, help="Untimed passes before them.")
    ] = _DEFAULTS.warmup,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; PyTorch's choice if not given.")
    ] = None,
    output: Annotated[
        Literal["table", "json"],
        typer.Option("--output", "-o", help="What to print: table or json."),
    ] = "table",
) -> None:
    """Time saved networks side by side with their dense network, on this machine.

    Example: ticketsmith benchmark runs/store/0123456789abcdef --batch-sizes 1,32
    """
    details, names, source = run(artifacts, dense, _spec(batch_sizes, repeats, warmup), threads)
    if output == "json":
        typer.echo(json.dumps(details.document(), indent=2))
        return
    from ticketsmith.benchmark.table import table

    typer.echo(table(details, names))
    typer.echo(
        f"\n{repeats} interleaved repeats, {warmup} warm-up passes, {details.environment.device}, "
        f"{details.environment.threads} threads, on {source}."
    )


def run(
    folders: list[Path], dense: Path | None, spec: BenchmarkSpec, threads: int | None = None
) -> tuple[BenchmarkDetails, dict[str, tuple[str, float]], str]:
    """Time the artifacts in `folders`.

    Returns:
        The measurements; name and sparsity of each network by key; what they were fed, in words.

    Raises:
        BadSpec: a folder is no artifact, or networks of different kinds are named.
    """
    import torch

    from ticketsmith.benchmark import artifacts, inputs
    from ticketsmith.benchmark.measure import measure
    from ticketsmith.engine.device import choose_device, prepare

    opened = [artifacts.open_artifact(folder) for folder in dict.fromkeys(folders)]
    loaded = [artifacts.load(store, key) for store, key in opened]
    base = (
        artifacts.load(*artifacts.open_artifact(dense))
        if dense
        else artifacts.dense_of(loaded[0], opened[0][0])
    )
    others = [one for one in loaded if one.result.key != base.result.key]
    artifacts.refuse_mixed(base, others)
    device = choose_device()
    prepare(device)
    if threads is not None:
        torch.set_num_threads(threads)
    fed = inputs.load(base.round.dataset, device, max(spec.batch_sizes))
    with tempfile.TemporaryDirectory() as folder:
        details = measure(base, others, fed, spec, Path(folder))
    return details, {one.result.key: _named(one) for one in (base, *others)}, fed.source


def _named(artifact: "Artifact") -> tuple[str, float]:
    return artifact.round.name, artifact.result.sparsity or 0.0


def _spec(batch_sizes: str, repeats: int, warmup: int) -> BenchmarkSpec:
    parts = [part.strip() for part in batch_sizes.split(",")]
    if not all(part.isdecimal() and 1 <= int(part) <= 65536 for part in parts) or len(parts) > 16:
        raise BadSpec(
            f"--batch-sizes {batch_sizes!r} is not a list of batch sizes: write up to 16 whole numbers from 1 to "
            "65536 with commas between, e.g. 1,32"
        )
    return BenchmarkSpec(
        batch_sizes=tuple(dict.fromkeys(map(int, parts))), repeats=repeats, warmup=warmup
    )
