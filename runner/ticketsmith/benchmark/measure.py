"""Time artifacts beside their dense network, in one run."""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from torch import Tensor

from ticketsmith.benchmark.artifacts import Artifact
from ticketsmith.benchmark.inputs import Inputs
from ticketsmith.benchmark.paths import PATHS, ExecutionPath, paths_for
from ticketsmith.benchmark.sizes import sizes
from ticketsmith.benchmark.summary import Ratio, percentile, speedup, speedup_over_all
from ticketsmith.benchmark.timing import Fresh, Sampled, interleave
from ticketsmith.engine.environment import environment
from ticketsmith.experiment.contract import Timing
from ticketsmith.experiment.results import BenchmarkDetails
from ticketsmith.experiment.spec import BenchmarkSpec

_DENSE, _AGAIN = "dense", "dense again"


def measure(
    dense: Artifact,
    others: Sequence[Artifact],
    inputs: Inputs,
    spec: BenchmarkSpec,
    folder: Path,
    *,
    told: Callable[[int, int], None] | None = None,
) -> BenchmarkDetails:
    """Time `others` and `dense` at every batch size, and measure their files.

    The dense network is timed twice, as itself and as a copy: the copy's ratio is the null control, which says
    how far chance alone moves a ratio on this machine. Its timing carries the dense round's key too. Artifacts
    are compared with both copies, see `speedup_over_all`.

    Args:
        folder: where files are written to be measured.
        told: hears (repeats done, repeats in all).
    """
    device = inputs.images.device
    total = spec.repeats * len(spec.batch_sizes)
    timings: list[Timing] = []
    for number, batch_size in enumerate(spec.batch_sizes):
        batch = inputs.batch(batch_size)
        networks = {
            _DENSE: _fresh(dense, PATHS["dense"], inputs, batch),
            _AGAIN: _fresh(dense, PATHS["dense"], inputs, batch),
            **{
                _label(one, path): _fresh(one, path, inputs, batch)
                for one in others
                for path in _paths(one)
            },
        }
        sampled = interleave(
            networks,
            repeats=spec.repeats,
            warmup=spec.warmup,
            told=partial(_tell, told, number * spec.repeats, total) if told else None,
        )
        timings += _timings(sampled, dense, others, batch_size)
    return BenchmarkDetails(
        environment=environment(device),
        timings=tuple(timings),
        sizes=tuple(sizes(one, folder) for one in (dense, *others)),
        repeats=spec.repeats,
        warmup=spec.warmup,
    )


def _fresh(artifact: Artifact, path: ExecutionPath, inputs: Inputs, batch: Tensor) -> Fresh:
    model = artifact.model(inputs.shape, inputs.num_classes).to(batch.device)
    return lambda: path.prepare(copy.deepcopy(model), batch)


def _paths(artifact: Artifact) -> tuple[ExecutionPath, ...]:
    """How an artifact is run; the dense network it is compared with always runs on the dense path."""
    pruning = artifact.round.pruning
    return paths_for(pruning.pattern if pruning is not None else "unstructured")


def _label(artifact: Artifact, path: ExecutionPath) -> str:
    return f"{artifact.result.key} {path.name}"


def _tell(told: Callable[[int, int], None], before: int, total: int, repeat: int) -> None:
    told(before + repeat, total)


def _timings(
    sampled: dict[str, Sampled],
    dense: Artifact,
    others: Sequence[Artifact],
    batch_size: int,
) -> list[Timing]:
    copies = [sampled[_DENSE].samples, sampled[_AGAIN].samples]

    def timing(name: str, key: str, way: str, ratio: Ratio) -> Timing:
        passes = sampled[name].passes
        return Timing(
            round=key,
            batch_size=batch_size,
            path=way,
            p50_ms=_short(percentile(passes, 0.50)),
            p95_ms=_short(percentile(passes, 0.95)),
            speedup=_short(ratio.value),
            low=_short(ratio.low),
            high=_short(ratio.high),
        )

    key = dense.result.key
    return [
        timing(_DENSE, key, "dense", Ratio(1.0, 1.0, 1.0)),
        timing(_AGAIN, key, "dense", speedup(*copies)),
        *(
            timing(
                _label(one, path),
                one.result.key,
                path.name,
                speedup_over_all(copies, sampled[_label(one, path)].samples),
            )
            for one in others
            for path in _paths(one)
        ),
    ]


def _short(value: float) -> float:
    """Six significant digits: more would be noise, and an answer has few bytes."""
    return float(f"{value:.6g}")
