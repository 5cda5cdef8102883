"""A lottery ticket and its controls: Conv4 (342,090 parameters) on CIFAR-10, dense, pruned to 90%, reinit, random.

Every training has the same number of steps and, within a seed, the same order of the data. What comes out is set
beside figures claimed elsewhere (79.83% dense, 80.44% ticket, 52.77% reinit, of one seed), whatever it says about them.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.ticker import PercentFormatter
from torch import nn
from torch.nn.functional import cross_entropy

from lottery_tickets import LotteryTicketFinder, PruningMask
from ticketsmith.engine import data
from ticketsmith.engine.data import Batches, Data
from ticketsmith.engine.evaluation import autocast, evaluate
from ticketsmith.engine.models.convnet import conv4
from ticketsmith.engine.seeds import sub_seed
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.spec import DatasetSpec
from ticketsmith.report.pictures.axes import empty, legend, line, sparsity_ticks
from ticketsmith.report.pictures.drawing import picture as drawn
from ticketsmith.report.pictures.palette import ARM_COLOURS, ARM_MARKS
from ticketsmith.report.stats import Estimate, estimate, paired
from ticketsmith.report.tickets.section import styled
from ticketsmith.report.words import ARM_NAMES

EXAMPLES = """\
examples:
  python examples/lottery_ticket_demo.py --quick           # scikit-learn's digits, seconds: to see it work
  TICKETSMITH_DATA=~/data python examples/lottery_ticket_demo.py --precision bf16
  python examples/lottery_ticket_demo.py --epochs 10 --seeds 0 1 2 3 4 --device cuda
Interrupt it at any time: the same command goes on with the training that was under way.
"""
ARMS = {
    "dense": "the whole network",
    "ticket": "iterative magnitude pruning, rewound to its initialisation",
    "reinit": "the ticket's mask, new weights by the same law",
    "random": "a random mask with the ticket's counts per layer, the ticket's initialisation",
}
CLAIMED = {"dense": 0.7983, "ticket": 0.8044, "reinit": 0.5277}
"""Of one run on CIFAR-10, elsewhere. Nobody has said with which seed, budget or law of initialisation."""
ALT = (
    "Test accuracy of the tickets against the weights removed, with both controls at the last level"
)
GAPS = (("ticket", "dense"), ("ticket", "reinit"), ("ticket", "random"))

BySeed = dict[int, float]


def trainer(
    loaded: Data, given: argparse.Namespace, seed: int
) -> Callable[[nn.Module, PruningMask], None]:
    """The one training of every arm: Adam, a fixed number of epochs, the seed's order of the data."""
    batches = Batches(
        loaded.train, loaded, given.batch_size, seed=sub_seed(seed, "order"), augment=True
    )

    def train_fn(model: nn.Module, mask: PruningMask) -> None:
        optimizer = torch.optim.Adam(model.parameters(), lr=given.lr)
        with mask.enforced(optimizer, model):  # pruned weights are zero after every step
            for epoch in range(given.epochs):
                for images, labels in batches.epoch(epoch):
                    optimizer.zero_grad()
                    images = images.to(memory_format=torch.channels_last)  # the fastest to convolve
                    with autocast(given.precision, images.device):
                        loss = cross_entropy(model(images), labels)
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimizer.step()

    return train_fn


def one_seed(loaded: Data, given: argparse.Namespace, seed: int) -> dict[str, float]:
    """Test accuracy of every arm. What is finished is read from the output folder instead of trained again."""
    folder = given.output / f"seed{seed}"
    finder = LotteryTicketFinder(
        conv4,
        {"input_shape": loaded.input_shape, "num_classes": loaded.num_classes},
        given.device,
    )
    train_fn = trainer(loaded, given, seed)

    def eval_fn(model: nn.Module) -> float:
        return evaluate(model, loaded.test, loaded, given.precision).accuracy

    *_, results = finder.find_winning_ticket(
        None,
        train_fn,
        eval_fn,
        given.sparsity,
        given.rounds,
        seed=sub_seed(seed, "init"),
        folder=folder,
    )
    found: dict[str, float] = {
        "dense": results["rounds"][0]["quality"] or 0.0,
        "ticket": results["rounds"][-1]["quality"] or 0.0,
    }
    for arm in ("reinit", "random"):
        file = folder / f"{arm}.json"
        if not file.exists():
            accuracy = finder.verify_random_ticket(
                train_fn, eval_fn, control=arm, seed=sub_seed(seed, arm)
            )
            write(file, json.dumps(results["controls"][-1], indent=2) + "\n")
            print(f"{arm}: {ARMS[arm]}: {accuracy:.4f}", flush=True)
        else:
            results["controls"].append(json.loads(file.read_text()))
        found[arm] = results["controls"][-1]["quality"]
    finder.save_experiment(folder, results)
    return found


@dataclass(frozen=True)
class Level:
    """A round of the search, over the seeds."""

    kept: int
    whole: int
    reached: Estimate
    """Test accuracy of the ticket."""

    @property
    def sparsity(self) -> float:
        return 1 - self.kept / self.whole


def levels_of(folders: Sequence[Path]) -> list[Level]:
    """Every round, the dense network first."""
    searches = [LotteryTicketFinder(conv4).load_experiment(folder)["rounds"] for folder in folders]
    return [
        Level(
            rounds[0]["kept"],
            rounds[0]["prunable"],
            estimate([one["quality"] or 0.0 for one in rounds]),
        )
        for rounds in zip(*searches, strict=True)
    ]


@styled
def picture(levels: Sequence[Level], arms: Mapping[str, BySeed]) -> bytes:
    """PNG: the tickets of every level, with the controls at the last."""
    figure, axes = empty()
    axes.axhline(
        levels[0].reached.mean, color=ARM_COLOURS["dense"], linestyle="--", label=ARM_NAMES["dense"]
    )
    line(axes, "ticket", [(level.sparsity, level.reached) for level in levels])
    for arm in ("reinit", "random"):
        reached = estimate(list(arms[arm].values()))
        axes.errorbar(
            1 / (1 - levels[-1].sparsity),
            reached.mean,
            reached.half_width or 0,
            color=ARM_COLOURS[arm],
            marker=ARM_MARKS[arm],
            linestyle="",
            capsize=3,
            label=ARM_NAMES[arm],
        )
    sparsity_ticks(axes, [level.sparsity for level in levels])
    low, high = axes.get_ylim()
    axes.set_ylim(max(0, low), min(1, high))
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=""))
    axes.set_ylabel("test accuracy, %")
    legend(figure, axes, columns=4)
    return drawn("quality", "Quality against sparsity", "", "", figure).png


def load(given: argparse.Namespace) -> tuple[Data, str]:
    """The data, and a sentence about it."""
    device = torch.device(given.device)
    if given.data == "cifar10":
        try:
            options = {"augment": given.augment} | ({"limit": given.limit} if given.limit else {})
            loaded = data.load(DatasetSpec(name="cifar10", options=options), device)
            return loaded, f"{loaded.source}: {len(loaded.train):,} images to train on"
        except BadSpec as missing:
            print(f"CIFAR-10 is not there ({missing}).")
            print(
                "Taking scikit-learn's digits instead: the figures claimed for CIFAR-10 do not apply."
            )
    loaded = data.load(DatasetSpec(name="digits"), device)
    return loaded, f"{loaded.source}: {len(loaded.train):,} images to train on"


def report(
    arms: Mapping[str, BySeed], levels: Sequence[Level], about: Sequence[str], cifar10: bool
) -> str:
    """Markdown: every arm with its interval, the differences, what was claimed elsewhere, and every level."""
    lines = ["# A lottery ticket and its controls", "", *about, "", f"![{ALT}](quality.png)", ""]
    lines += [
        "| arm | weights kept | test accuracy, % | seeds | claimed elsewhere, % |",
        "|---|--:|--:|--:|--:|",
    ]
    for arm, by_seed in arms.items():
        claim = f"{100 * CLAIMED[arm]:.2f}" if cifar10 and arm in CLAIMED else ""
        level = levels[0] if arm == "dense" else levels[-1]
        lines.append(
            f"| {arm}: {ARMS[arm]} | {level.kept:,} of {level.whole:,} | {percent(estimate(list(by_seed.values())))} "
            f"| {len(by_seed)} | {claim} |"
        )
    lines += [
        "",
        "| difference, paired by seed | points | claimed elsewhere | |",
        "|---|--:|--:|---|",
    ]
    for first, second in GAPS:
        gap = paired(arms[first], arms[second])
        if gap is None:
            continue
        claimed = (
            CLAIMED[first] - CLAIMED[second]
            if cifar10 and first in CLAIMED and second in CLAIMED
            else None
        )
        told = "" if claimed is None else f"{100 * claimed:+.2f}"
        lines.append(
            f"| {first} - {second} | {percent(gap, signed=True)} | {told} | {verdict(gap, claimed)} |"
        )
    lines += [
        "",
        "Intervals are 95% by Student's t over the seeds. The test set is read after each training, and nothing is "
        "chosen by it. A difference of these arms says how much the initialisation (reinit) or the places of the "
        "weights (random) matter at this size and budget; it proves nothing about others.",
        "",
        "| level | weights kept | sparsity, % | test accuracy of the ticket, % |",
        "|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {number} | {level.kept:,} | {100 * level.sparsity:.2f} | {percent(level.reached)} |"
        for number, level in enumerate(levels)
    ]
    return "\n".join(lines) + "\n"


def verdict(gap: Estimate, claimed: float | None) -> str:
    """What the interval allows to say."""
    if gap.low is None or gap.high is None:
        return "one seed: no interval"
    said = "differs from 0" if gap.excludes_zero else "may be 0"
    if claimed is None:
        return said
    inside = gap.low <= claimed <= gap.high
    return f"{said}; the claim lies {'inside' if inside else 'outside'} of the interval"


def percent(found: Estimate, *, signed: bool = False) -> str:
    mean = f"{100 * found.mean:+.2f}" if signed else f"{100 * found.mean:.2f}"
    return mean if found.half_width is None else f"{mean} ± {100 * found.half_width:.2f}"


def settle(given: argparse.Namespace, source: str) -> None:
    """The output folder belongs to one set of settings; seeds may be added."""
    settings = {
        name: value
        for name, value in sorted(vars(given).items())
        if name not in ("output", "seeds", "threads", "quick", "data")
    } | {"source": source}
    file = given.output / "settings.json"
    text = json.dumps(settings, indent=2) + "\n"
    if file.exists() and file.read_text() != text:
        raise SystemExit(
            f"lottery_ticket_demo: {given.output} holds runs with other settings (see {file.name}): name another "
            f"--output, or remove it"
        )
    given.output.mkdir(parents=True, exist_ok=True)
    write(file, text)


def write(path: Path, content: str | bytes) -> None:
    aside = path.with_name(f".{path.name}.partial")
    aside.write_bytes(content if isinstance(content, bytes) else content.encode())
    aside.replace(path)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="digits, two seeds, short trainings: ends in seconds")
    add("--data", choices=("cifar10", "digits"), help="default: cifar10, with --quick digits")
    add("--epochs", type=int, help="of every training (default: 5)")
    add("--rounds", type=int, help="of pruning (default: 5)")
    add("--seeds", type=int, nargs="+", help="one replicate each (default: 0 1 2)")
    add("--sparsity", type=float, default=0.9, help="of the ticket (default: %(default)s)")
    add("--batch-size", type=int, default=64, help="default: %(default)s")
    add("--lr", type=float, default=1e-3, help="of Adam (default: %(default)s)")
    add("--limit", type=int, help="train on so many images of CIFAR-10 only")
    add("--augment", action="store_true", help="flip and crop the images of CIFAR-10")
    add("--precision", choices=("fp32", "bf16"), default="fp32", help="default: %(default)s")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add("--threads", type=int, help="of torch on the CPU")
    add("--output", type=Path, help="default: runs/lottery_ticket_demo, with --quick ..._quick")
    given = parser.parse_args(argv)
    usual: dict[str, Any] = {"data": "cifar10", "epochs": 5, "rounds": 5, "seeds": [0, 1, 2]}
    if given.quick:
        usual = {"data": "digits", "epochs": 2, "rounds": 2, "seeds": [0, 1]}
    usual["output"] = Path("runs") / f"lottery_ticket_demo{'_quick' if given.quick else ''}"
    for name, value in usual.items():
        if getattr(given, name) is None:
            setattr(given, name, value)
    for name in ("epochs", "rounds", "batch_size"):
        if getattr(given, name) < 1:
            parser.error(f"--{name.replace('_', '-')} is {getattr(given, name)}: use 1 or more")
    if len(set(given.seeds)) < len(given.seeds):
        parser.error("--seeds names a seed twice: name each once")
    if not 0 < given.sparsity < 1:
        parser.error(f"--sparsity is {given.sparsity}: use a fraction between 0 and 1, e.g. 0.9")
    return given


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(argv)
    if given.threads:
        torch.set_num_threads(given.threads)
    loaded, source = load(given)
    settle(given, source)
    trainings = len(given.seeds) * (given.rounds + 3)
    print(
        f"{source}. {trainings} trainings of {given.epochs} epochs, on {given.device}.", flush=True
    )
    arms: dict[str, BySeed] = {arm: {} for arm in ARMS}
    begun = time.monotonic()
    for number, seed in enumerate(given.seeds, 1):
        print(f"seed {seed}", flush=True)
        for arm, accuracy in one_seed(loaded, given, seed).items():
            arms[arm][seed] = accuracy
        minutes = (time.monotonic() - begun) / 60
        left = minutes / number * (len(given.seeds) - number)
        print(
            f"seed {seed} is done: {minutes:.1f} minutes so far, about {left:.0f} left", flush=True
        )

    levels = levels_of([given.output / f"seed{seed}" for seed in given.seeds])
    per_training = given.epochs * len(
        Batches(loaded.train, loaded, given.batch_size, seed=0, augment=False)
    )
    parameters = sum(p.numel() for p in conv4(loaded.input_shape, loaded.num_classes).parameters())
    about = [
        f"Conv4, {parameters:,} parameters, of which {levels[0].whole:,} may be pruned (weights, not biases); "
        f"{source}. Every training: Adam, learning rate {given.lr:g}, batch {given.batch_size}, {given.epochs} epochs "
        f"= {per_training:,} steps, {given.precision}. {given.rounds} rounds to {given.sparsity:.1%}. Seeds "
        f"{', '.join(map(str, given.seeds))}.",
    ]
    text = report(arms, levels, about, cifar10="CIFAR" in loaded.source)
    document = {
        "settings": json.loads((given.output / "settings.json").read_text()),
        "seeds": given.seeds,
        "accuracy": {arm: list(by_seed.values()) for arm, by_seed in arms.items()},
        "claimed_elsewhere": CLAIMED,
        "levels": [
            {"kept": level.kept, "prunable": level.whole, "accuracy": level.reached.mean}
            for level in levels
        ],
    }
    write(given.output / "quality.png", picture(levels, arms))
    write(given.output / "results.json", json.dumps(document, indent=2) + "\n")
    write(given.output / "results.md", text)
    print(f"\n{text}\nWritten to {given.output}: results.md, results.json, quality.png")


if __name__ == "__main__":
    main()
