"""One training step of LeNet-300-100 on MNIST, batch 128: ours, OpenLTH's and a plain loop, in one run.

    python benchmarks/training_step.py --openlth PATH [--rounds 15] [--steps 60]

Every variant runs a block of steps in every round, in an order drawn anew for each, so that whatever else the
machine does falls on all alike; ratios are taken within a round. TICKETSMITH_DATA names the folder that holds
mnist/*.gz. PATH is a checkout of OpenLTH (https://github.com/facebookresearch/open_lth); its own data loader,
model, mask and training loop run as they are.
"""

import argparse
import gzip
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import lottery_tickets
from ticketsmith.engine import data, models
from ticketsmith.engine.attempt import Attempt
from ticketsmith.engine.checkpoint import TrainingState
from ticketsmith.engine.data import Data
from ticketsmith.engine.environment import environment
from ticketsmith.engine.training import train
from ticketsmith.experiment.spec import DatasetSpec, ModelSpec, TrainingSpec

BATCH = 128
SPARSITY = 0.8
WARMUP = 10
"""Steps at the beginning of a block that are not timed."""
CPU = torch.device("cpu")
RESULTS = Path(__file__).parent / "results"
Block = Callable[[int], float]
"""Trains that many steps; returns milliseconds a step, warm-up left out."""


class Stopwatch(Attempt):
    """Notes the time after every step of our loop, where progress is told."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def tell(self, state: TrainingState, total: int, epoch_length: int) -> None:
        del state, total, epoch_length
        self.times.append(time.perf_counter())


def milliseconds(times: list[float]) -> float:
    """Mean of a step, from the times at the ends of steps."""
    timed = times[WARMUP:]
    return (timed[-1] - timed[0]) / (len(timed) - 1) * 1e3


def ours(loaded: Data, threads: int, masked: bool, optimizer: str = "sgd") -> Block:
    """The very loop that rounds run: guard, mask, progress and all."""
    torch.manual_seed(0)
    model = models.build(ModelSpec(name="lenet300"), loaded.input_shape, loaded.num_classes)
    mask: dict[str, Tensor] = {}
    if masked:
        mask = lottery_tickets.prune(model, target_sparsity=SPARSITY)

    def block(steps: int) -> float:
        torch.set_num_threads(threads)
        lr = 0.1 if optimizer == "sgd" else 0.0012
        spec = TrainingSpec.model_validate(
            {
                "duration": f"{steps}it",
                "evaluateEvery": f"{steps}it",
                "batchSize": BATCH,
                "optimizer": {"name": optimizer, "lr": lr},
            }
        )
        watch = Stopwatch()
        train(model, loaded, spec, seed=0, mask=mask, attempt=watch)
        return milliseconds(watch.times[:-1])  # the last one holds the evaluation

    return block


def plain(loaded: Data, threads: int) -> Block:
    """The least a person writes: shuffled tensors in memory, torch's default SGD, no mask."""
    pixels = (loaded.train.images.float() / 255 - 0.1307) / 0.3081
    labels = loaded.train.labels
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 300),
        nn.ReLU(),
        nn.Linear(300, 100),
        nn.ReLU(),
        nn.Linear(100, 10),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def block(steps: int) -> float:
        torch.set_num_threads(threads)
        times = []
        order = torch.randperm(len(labels))
        for step in range(steps):
            chosen = order[step * BATCH : (step + 1) * BATCH]
            optimizer.zero_grad()
            cross_entropy(model(pixels[chosen]), labels[chosen]).backward()
            optimizer.step()
            times.append(time.perf_counter())
        return milliseconds(times)

    return block


def openlth(checkout: Path, threads: int, folder: Path) -> Block:
    """OpenLTH's training loop on its MNIST, its LeNet with its PrunedModel, as `lottery` runs it by default."""
    import numpy as np

    sys.path.insert(0, str(checkout))
    # What its age needs: numpy 2 dropped `product`, and torch's DistributedDataParallel can no longer be mixed
    # with an abstract class. Neither is in a step's way.
    if not hasattr(np, "product"):
        np.product = np.prod
    distributed = torch.nn.parallel.DistributedDataParallel
    torch.nn.parallel.DistributedDataParallel = torch.nn.DataParallel
    try:
        from datasets import registry as datasets
        from foundations.step import Step
        from models import registry as networks
        from platforms import local, platform
        from pruning.mask import Mask
        from pruning.pruned_model import PrunedModel
        from training.train import train as their_train
    finally:
        torch.nn.parallel.DistributedDataParallel = distributed

    class Platform(local.Platform):
        dataset_root = str(folder)

    platform._PLATFORM = Platform()
    defaults = networks.get_default_hparams("mnist_lenet_300_100")
    assert defaults.dataset_hparams.batch_size == BATCH
    loader = datasets.get(defaults.dataset_hparams, train=True)
    network = networks.get(defaults.model_hparams)
    mask = Mask.ones_like(network)
    for name in mask:
        mask[name] = (torch.rand_like(mask[name]) >= SPARSITY).float()
    model = PrunedModel(network, mask)

    def block(steps: int) -> float:
        torch.set_num_threads(threads)
        times: list[float] = []
        with tempfile.TemporaryDirectory() as output:
            their_train(
                defaults.training_hparams,
                model,
                loader,
                output,
                callbacks=[lambda *_: times.append(time.perf_counter())],
                end_step=Step.from_iteration(steps, loader.iterations_per_epoch),
            )
        return milliseconds(times)

    return block


def unpack_mnist(folder: Path) -> Path:
    """Lay MNIST out as torchvision wants it, from the .gz files of TICKETSMITH_DATA."""
    raw = folder / "mnist" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for packed in (Path(os.environ["TICKETSMITH_DATA"]) / "mnist").glob("*.gz"):
        (raw / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
    return folder


class Pair:
    """Two processes that run one variant side by side, one thread each."""

    def __init__(self, variant: str, options: argparse.Namespace, folder: Path) -> None:
        command = [sys.executable, __file__, "--worker", variant, "--folder", str(folder)]
        if options.openlth:
            command += ["--openlth", str(options.openlth)]
        self._workers = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        for worker in self._workers:
            self._answer(worker)

    def block(self, steps: int) -> float:
        """Milliseconds per step of the pair: half of one process's, if both are equally fast."""
        for worker in self._workers:
            assert worker.stdin is not None
            worker.stdin.write(f"{steps}\n")
            worker.stdin.flush()
        return 1 / sum(1 / float(self._answer(worker)) for worker in self._workers)

    def end(self) -> None:
        for worker in self._workers:
            worker.communicate()

    @staticmethod
    def _answer(worker: "subprocess.Popen[str]") -> str:
        assert worker.stdout is not None
        return worker.stdout.readline()


def work(options: argparse.Namespace) -> None:
    """What each process of a Pair does: a block for every number it reads."""
    if options.worker == "openlth":
        block = openlth(options.openlth, 1, options.folder)
    else:
        block = ours(data.load(DatasetSpec(name="mnist"), CPU), 1, masked=True)
    print("ready", flush=True)
    for line in sys.stdin:
        print(block(int(line)), flush=True)


def interval(values: list[float]) -> tuple[float, float, float]:
    """Median and its 95% bootstrap interval."""
    drawn = random.Random(0)
    medians = sorted(statistics.median(drawn.choices(values, k=len(values))) for _ in range(2000))
    return statistics.median(values), medians[50], medians[1949]


def measure(options: argparse.Namespace, folder: Path) -> dict[str, list[float]]:
    """Milliseconds a step of every variant, a value a round."""
    loaded = data.load(DatasetSpec(name="mnist"), CPU)
    pairs = {"ours, two processes": Pair("ours", options, folder)}
    blocks: dict[str, Block] = {
        "ours, 1 thread": ours(loaded, 1, masked=True),
        "ours, 2 threads": ours(loaded, 2, masked=True),
        "ours unmasked, 1 thread": ours(loaded, 1, masked=False),
        "ours unmasked, 2 threads": ours(loaded, 2, masked=False),
        "ours, Adam, 1 thread": ours(loaded, 1, masked=True, optimizer="adam"),
        "plain loop, 1 thread": plain(loaded, 1),
        "plain loop, 2 threads": plain(loaded, 2),
    }
    if options.openlth:
        blocks["OpenLTH, 2 threads"] = openlth(options.openlth, 2, folder)
        pairs["OpenLTH, two processes"] = Pair("openlth", options, folder)
    blocks |= {name: pair.block for name, pair in pairs.items()}
    found: dict[str, list[float]] = {name: [] for name in blocks}
    order = random.Random(0)
    for _ in range(options.rounds):
        for name in order.sample(list(blocks), len(blocks)):
            found[name].append(blocks[name](options.steps + WARMUP))
    for pair in pairs.values():
        pair.end()
    return found


RATIOS = {
    "OpenLTH over ours, one process, 1 thread": ("OpenLTH, 2 threads", "ours, 1 thread"),
    "OpenLTH over ours, one process, 2 threads": ("OpenLTH, 2 threads", "ours, 2 threads"),
    "OpenLTH over ours, two replicates side by side": ("OpenLTH, 2 threads", "ours, two processes"),
    "OpenLTH over ours, both two replicates side by side": (
        "OpenLTH, two processes",
        "ours, two processes",
    ),
    "masked over unmasked, 1 thread": ("ours, 1 thread", "ours unmasked, 1 thread"),
    "masked over unmasked, 2 threads": ("ours, 2 threads", "ours unmasked, 2 threads"),
    "two threads over two processes": ("ours, 2 threads", "ours, two processes"),
    "plain loop over ours, 1 thread": ("plain loop, 1 thread", "ours, 1 thread"),
}


def summary(found: dict[str, list[float]], options: argparse.Namespace) -> dict[str, Any]:
    """The whole result as plain JSON types."""
    ratios = {
        title: [a / b for a, b in zip(found[over], found[under], strict=True)]
        for title, (over, under) in RATIOS.items()
        if over in found and under in found
    }
    torch.set_num_threads(1)
    return {
        "what": "milliseconds per step (two processes: per step of the pair), LeNet-300-100, MNIST",
        "batchSize": BATCH,
        "sparsity": SPARSITY,
        "stepsPerBlock": options.steps,
        "rounds": options.rounds,
        "milliseconds": {name: described(values) for name, values in found.items()},
        "ratios": {title: described(values) for title, values in ratios.items()},
        "realTimePriority": os.sched_getscheduler(0) != os.SCHED_OTHER,
        "environment": environment(CPU).document() | {"cores": len(os.sched_getaffinity(0))},
    }


def described(values: list[float]) -> dict[str, Any]:
    median, low, high = (round(value, 4) for value in interval(values))
    return {"median": median, "low": low, "high": high, "all": [round(v, 4) for v in values]}


def markdown(result: dict[str, Any]) -> str:
    """The result as people read it."""
    made_with = result["environment"]
    lines = [
        "# One training step: LeNet-300-100 on MNIST, batch 128",
        "",
        f"Medians over {result['rounds']} rounds of {result['stepsPerBlock']} steps, variants in random order;"
        " 95% bootstrap intervals. Ours and OpenLTH are masked at 80% sparsity and use SGD, unless the row says"
        " otherwise; the plain loop has no mask. Two processes: one thread each, milliseconds per step of the"
        " pair.",
        "",
        "| variant | ms a step | interval |",
        "| --- | ---: | --- |",
    ]
    for name, row in sorted(result["milliseconds"].items(), key=lambda item: item[1]["median"]):
        lines.append(f"| {name} | {row['median']:.2f} | {row['low']:.2f} to {row['high']:.2f} |")
    lines += ["", "| ratio, taken within each round | median | interval |", "| --- | ---: | --- |"]
    for name, row in result["ratios"].items():
        lines.append(f"| {name} | {row['median']:.2f} | {row['low']:.2f} to {row['high']:.2f} |")
    shielded = (
        " under `chrt -f 1`, since other work shared the machine" * result["realTimePriority"]
    )
    lines += [
        "",
        f"{made_with['processor']}, {made_with['cores']} cores; Python {made_with['python']}, torch"
        f" {made_with['torch']}; made by `python benchmarks/training_step.py --openlth PATH`{shielded}.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--openlth", type=Path, help="checkout of OpenLTH; left out, ours alone is timed"
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--worker", choices=("ours", "openlth"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options)
        return
    with tempfile.TemporaryDirectory() as temporary:
        result = summary(measure(options, unpack_mnist(Path(temporary))), options)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "training_step.json").write_text(json.dumps(result, indent=2) + "\n")
    (options.out / "training_step.md").write_text(markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    main()
