"""Synthetic runs: everything a driver and the engine would have left on disk, with known numbers."""

import hashlib
import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from ticketsmith.experiment import results
from ticketsmith.experiment.base import fingerprint
from ticketsmith.experiment.contract import RoundResult, Timing
from ticketsmith.experiment.results import (
    BenchmarkDetails,
    Environment,
    Evaluation,
    LayerCount,
    Layers,
    Size,
)
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.experiment.status import Best, ParetoPoint, RoundStatus, Status, Usage
from ticketsmith.report import write_report

ENVIRONMENT = Environment(
    ticketsmith="0.1.0",
    python="3.12.1",
    torch="2.9.0",
    platform="linux x86_64",
    processor="Example CPU",
    device="cpu",
    gpus=0,
    threads=1,
    packages={"numpy": "2.1.0", "torch": "2.9.0"},
)
SHAPES = {"fc1.weight": (300, 784), "fc2.weight": (100, 300), "fc3.weight": (10, 100)}
PARAMETERS = 266_610
ITERATIONS = 5000
FALL = {"ticket": 0.0004, "reinit": 0.0035, "random": 0.009}
"""Accuracy lost per level squared, per arm: exaggerated, so that a mix-up of arms shows."""


@dataclass
class Made:
    """A run to be written: change it, then write it."""

    name: str = "mnist-lenet"
    model: str = "lenet300"
    dataset: str = "mnist"
    seeds: Sequence[int] = (0, 1, 2)
    levels: int = 5
    controls: Sequence[str] = ("reinit", "random")
    dense: float = 0.981
    scatter: float = 0.0008
    """Accuracies lie up to this far from where they should."""
    phase: str = "Succeeded"
    best_level: int | None = 4
    timed: bool = True
    ratio: tuple[float, float, float] = (1.01, 0.98, 1.04)
    null: tuple[float, float, float] = (1.0, 0.985, 1.012)
    skip: frozenset[str] = field(default_factory=frozenset)
    """Names of rounds that left nothing."""

    def write(self, runs: Path) -> Path:
        """Write run directory and store below `runs`; returns the run directory."""
        return _Writer(self, runs).write()


class _Writer:
    def __init__(self, made: Made, runs: Path) -> None:
        self.made, self.runs, self.store = made, runs, runs / "store"
        self.dice = random.Random(made.name)
        self.rounds: list[RoundStatus] = []
        self.accuracies: dict[str, float] = {}

    def write(self) -> Path:
        made = self.made
        for seed in made.seeds:
            self.round("dense", seed, 0)
            for level in range(1, made.levels + 1):
                for arm in ("ticket", *made.controls):
                    self.round(arm, seed, level)
        if made.timed:
            self.benchmark()
        folder = self.runs / f"{made.name}_0123abcd"
        folder.mkdir(parents=True)
        resource = PruningExperiment.model_validate(
            {
                "metadata": {"name": made.name},
                "spec": {
                    "model": {"name": made.model},
                    "dataset": {"name": made.dataset},
                    "sparsities": {"rate": 0.2, "levels": made.levels},
                    "controls": list(made.controls),
                    "seeds": list(made.seeds),
                },
                "status": self.status().document(),
            }
        )
        (folder / "resource.json").write_text(json.dumps(resource.document()))
        return folder

    def round(self, arm: str, seed: int, level: int) -> None:
        name = f"dense-s{seed}" if arm == "dense" else f"{arm}-s{seed}-l{level:02d}"
        key = fingerprint([self.made.name, name])
        fall = FALL.get(arm, 0.0) * level**2
        made = self.made
        accuracy = (
            made.dense + 0.0004 * (seed % 3) - fall + self.dice.uniform(-made.scatter, made.scatter)
        )
        self.accuracies[name] = accuracy
        keep = 0.8**level
        counts = Layers(
            layers=tuple(
                LayerCount(
                    name=layer,
                    shape=shape,
                    prunable=math.prod(shape),
                    remaining=round(math.prod(shape) * (keep ** (1.1 - 0.3 * n) if level else 1)),
                )
                for n, (layer, shape) in enumerate(SHAPES.items())
            )
        )
        remaining = sum(layer.remaining for layer in counts.layers)
        prunable = sum(layer.prunable for layer in counts.layers)
        metrics = {
            "accuracy": accuracy,
            "loss": 0.09 + fall,
            "valAccuracy": accuracy + 0.001,
            "valLoss": 0.085 + fall,
        }
        passes = level <= (self.made.best_level or 0)
        status = RoundStatus.model_validate(
            {
                "name": name,
                "arm": arm,
                "seed": seed,
                "level": level,
                "state": "Failed" if name in self.made.skip else "Done",
                "attempts": 1,
                "key": key,
                "sparsity": 1 - remaining / prunable,
                "metrics": metrics,
                "gate": ("passed" if passes else "failed") if arm == "ticket" else None,
                "durationSeconds": 21.5,
            }
        )
        self.rounds.append(status)
        if name in self.made.skip:
            return
        files = {results.SAMPLES: self.samples(key)}
        result = RoundResult(
            key=key,
            arm=arm,
            seed=seed,
            level=level,
            remaining=remaining,
            prunable=prunable,
            parameters=PARAMETERS,
            metrics=metrics,
            iterations=ITERATIONS,
            selected_iteration=ITERATIONS,
            best_iteration=round(ITERATIONS * (0.6 - 0.05 * level + 0.02 * seed + len(arm) / 100)),
            duration_seconds=21.5,
            files=files,
        )
        self.put(key, results.LAYERS, counts.model_dump_json())
        self.put(key, results.ENVIRONMENT, ENVIRONMENT.model_dump_json())
        self.put(key, results.METRICS, "\n".join(self.evaluations(accuracy, level)) + "\n")
        self.put(key, results.RESULT, result.model_dump_json(exclude_none=True))

    def evaluations(self, accuracy: float, level: int) -> list[str]:
        lines = []
        for iteration in range(0, ITERATIONS + 1, 250):
            risen = 1 - math.exp(-iteration / (500 + 60 * level))
            evaluation = Evaluation(
                iteration=iteration,
                epoch=iteration / 916,
                train_loss=None if iteration == 0 else 2.3 * (1 - risen) + 0.01,
                val_loss=2.3 * (1 - risen) + 0.08 + 0.004 * max(0.0, iteration / 1000 - 3),
                val_accuracy=0.1 + (accuracy - 0.099) * risen,
                learning_rate=0.0012,
                seconds=iteration / 400,
            )
            lines.append(evaluation.model_dump_json())
        return lines

    def samples(self, key: str) -> str:
        rng = np.random.default_rng(5)
        labels = rng.integers(0, 10, 24)
        said = labels.copy()
        said[:10] = (labels[:10] + 3) % 10
        file = self.store / key / results.SAMPLES
        file.parent.mkdir(parents=True, exist_ok=True)
        y, x = np.mgrid[0:28, 0:28]
        rings = [
            255 * np.exp(-((np.hypot(x - 13.5, y - 13.5) - 3 - 0.8 * label) ** 2) / 4)
            for label in labels
        ]
        save_file(
            {
                "images": np.stack(rings)[:, None].astype(np.uint8),
                "labels": labels.astype(np.int64),
                "predictions": said.astype(np.int64),
                "confidences": rng.uniform(0.4, 1, 24).astype(np.float32),
            },
            file,
        )
        return hashlib.sha256(file.read_bytes()).hexdigest()

    def benchmark(self) -> None:
        seed = self.made.seeds[0]
        by_name = {known.name: known for known in self.rounds}
        dense = by_name[f"dense-s{seed}"].key or ""
        tickets = [
            known
            for known in self.rounds
            if known.arm == "ticket" and known.seed == seed and known.gate == "passed"
        ]
        timings: list[Timing] = []
        for batch, base in ((1, 0.031), (32, 0.112)):
            timings.append(_timing(dense, batch, base, (1.0, 1.0, 1.0)))
            timings.append(_timing(dense, batch, base, self.made.null))
            timings += [_timing(known.key or "", batch, base, self.made.ratio) for known in tickets]
        sizes = [Size(round=dense, dense_bytes=1_067_000, sparse_bytes=1_100_000)]
        sizes += [
            Size(
                round=known.key or "",
                dense_bytes=1_067_000,
                sparse_bytes=round(35_000 + 1_066_000 * (1 - (known.sparsity or 0))),
            )
            for known in tickets
        ]
        details = BenchmarkDetails(
            environment=ENVIRONMENT,
            timings=tuple(timings),
            sizes=tuple(sizes),
            repeats=50,
            warmup=10,
        )
        key = fingerprint([self.made.name, "benchmark"])
        self.put(key, results.BENCHMARK, details.model_dump_json())
        self.put(key, results.RESULT, RoundResult(key=key, arm="benchmark").model_dump_json())
        self.rounds.append(
            RoundStatus(
                name="benchmark",
                arm="benchmark",
                state="Done",
                attempts=1,
                key=key,
                duration_seconds=6.1,
            )
        )

    def status(self) -> Status:
        made = self.made
        best = None
        tickets = [known for known in self.rounds if known.arm == "ticket"]
        if made.best_level is not None:
            level = min(made.best_level, made.levels)
            chosen = next(known for known in tickets if known.level == level)
            best = Best(
                round=chosen.name,
                level=level,
                sparsity=chosen.sparsity or 0.0,
                metric=chosen.metrics["accuracy"],
                drop=self.accuracies[f"dense-s{made.seeds[0]}"] - chosen.metrics["accuracy"],
                seeds_passed=len(made.seeds),
                seeds=len(made.seeds),
                artifact=chosen.key,
            )
        finished = made.phase in ("Succeeded", "Failed")
        return Status.model_validate(
            {
                "phase": made.phase,
                "reason": "AllRoundsDone" if made.phase == "Succeeded" else None,
                "progress": f"{len(self.rounds)}/{len(self.rounds) + (0 if finished else 9)}",
                "rounds": [known.document() for known in self.rounds[-100:]],
                "best": best.document() if best else None,
                "pareto": [
                    ParetoPoint(
                        round=known.name,
                        sparsity=known.sparsity or 0.0,
                        metric=known.metrics["accuracy"],
                    ).document()
                    for known in tickets
                    if known.seed == made.seeds[-1] and known.gate == "passed"
                ],
                "usage": Usage(
                    duration_seconds=sum(known.duration_seconds for known in self.rounds)
                ).document(),
                "startedAt": "2026-03-01T10:00:00Z",
                "finishedAt": "2026-03-01T10:12:30Z" if finished else None,
            }
        )

    def put(self, key: str, name: str, text: str) -> None:
        file = self.store / key / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def _timing(key: str, batch: int, base: float, ratio: tuple[float, float, float]) -> Timing:
    speedup, low, high = ratio
    return Timing(
        round=key,
        batch_size=batch,
        path="dense",
        p50_ms=base / speedup,
        p95_ms=1.2 * base / speedup,
        speedup=speedup,
        low=low,
        high=high,
    )


@pytest.fixture(scope="session")
def write_run() -> Callable[..., Path]:
    """Write a synthetic run below a folder; keywords are the fields of Made."""

    def write(runs: Path, **changes: Any) -> Path:
        return Made(**changes).write(runs)

    return write


@pytest.fixture
def make_run(tmp_path: Path, write_run: Callable[..., Path]) -> Callable[..., Path]:
    """The same, into the test's own folder."""
    return partial(write_run, tmp_path / "runs")


@pytest.fixture(scope="session")
def default_report(
    tmp_path_factory: pytest.TempPathFactory, write_run: Callable[..., Path]
) -> Path:
    """report.html of a whole, successful run. Tests only read it and the files beside it."""
    return write_report([write_run(tmp_path_factory.mktemp("whole") / "runs")])
