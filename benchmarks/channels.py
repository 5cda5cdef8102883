"""Channel pruning: how long, how exact, and what a compacted network really saves.

Side by side with Torch-Pruning, where it is installed: the channels that go (half of each layer, lowest L2 norm over
all slices, all norms taken on the dense network), parameters and multiply-adds after, and the time of analysing,
choosing and cutting. Then the latency of ResNet-18 for CIFAR at half its channels: dense, masked and compacted. All
calls are interleaved, one of each a repeat, and every ratio is of two calls of the same repeat.

    pip install torch-pruning          (in an environment of its own; not needed by anything else here)
    python benchmarks/channels.py
"""

import argparse
import copy
import importlib
import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from lottery_tickets import apply, prunable
from lottery_tickets.channels import ChannelPlan, channel_groups, compact, prune_channels
from ticketsmith.engine import models
from ticketsmith.experiment.spec import ModelSpec

NETWORKS = ("resnet18", "resnet50", "vgg16", "mobilenet_v2")
RATIO = 0.5
LATENCY_NETWORK = "resnet18_cifar"

Rows = dict[str, set[int]]
"""Weight -> the rows (output channels) that are removed."""


def theirs() -> Any | None:
    """Torch-Pruning, if it is there."""
    try:
        return importlib.import_module("torch_pruning")
    except ImportError:
        return None


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    network: nn.Module = torchvision.models.get_model(name, num_classes=1000)
    return network.eval()


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    answer = call()
    return time.perf_counter() - begun, answer


# One side and the other. Each answers seconds by step, the rows removed and the network that is left.


def ours(name: str, example: Tensor) -> tuple[dict[str, float], Rows, nn.Module, ChannelPlan]:
    model = build(name)
    analysing, groups = timed(lambda: channel_groups(model, example))
    choosing, plan = timed(
        lambda: prune_channels(
            model,
            example,
            target_sparsity=RATIO,
            of="channels",
            scope="layer",
            score=squares(model),
            groups=groups,
        )
    )
    cutting, smaller = timed(lambda: compact(model, plan, verify=False))
    checking, _ = timed(lambda: compact(model, plan))
    rows: Rows = {}
    for group in groups.groups:
        gone = ~plan.kept[group.name]
        for member in group.members:
            if member.role == "rows":
                found = (member.channel >= 0) & gone[member.channel.clamp(min=0)]
                rows.setdefault(member.name, set()).update(found.nonzero().squeeze(1).tolist())
    seconds = {
        "analysing": analysing,
        "choosing": choosing,
        "cutting": cutting,
        "all": analysing + choosing + cutting,
        "cutting and verifying": checking,
    }
    return seconds, rows, smaller, plan


def squares(model: nn.Module) -> dict[str, Tensor]:
    """The squared L2 norm as Torch-Pruning takes it: it leaves depthwise weights out, where "magnitude" has them in."""
    return {
        name: weight.detach().square() * (weight.dim() < 4 or weight.shape[1] > 1)
        for name, weight in prunable(model).items()
    }


def torch_pruning(tp: Any, name: str, example: Tensor) -> tuple[dict[str, float], Rows, nn.Module]:
    model = build(name)
    names = {module: path for path, module in model.named_modules()}
    last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    kinds = [nn.modules.conv._ConvNd, nn.Linear]
    importance = tp.importance.GroupMagnitudeImportance(
        p=2, group_reduction="sum", normalizer=None, target_types=kinds
    )
    analysing, pruner = timed(
        lambda: tp.pruner.MetaPruner(
            model, example, importance=importance, pruning_ratio=RATIO, ignored_layers=[last]
        )
    )
    # All groups are chosen on the dense network, and only then cut: else each would be scored on what the ones
    # before it have left.
    choosing, groups = timed(lambda: list(pruner.step(interactive=True)))
    rows: Rows = {}
    for group in groups:
        for dependency, indices in group:
            module = dependency.target.module
            if (
                isinstance(module, tuple(kinds))
                and dependency.handler.__name__ != "prune_in_channels"
            ):
                rows.setdefault(f"{names[module]}.weight", set()).update(map(int, indices))

    def cut() -> None:
        for group in groups:
            group.prune()

    cutting, _ = timed(cut)
    seconds = {"analysing": analysing, "choosing": choosing, "cutting": cutting}
    return seconds | {"all": analysing + choosing + cutting}, rows, model


def compare(name: str, side: int, repeats: int, tp: Any | None) -> dict[str, Any]:
    """Times of both, and whether they remove the same."""
    example = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    seconds: dict[str, list[dict[str, float]]] = {"ours": [], "torch-pruning": []}
    found: dict[str, Any] = {"network": name}
    for _ in range(repeats):
        took, mine, smaller, plan = ours(name, example)
        seconds["ours"].append(took)
        if tp is not None:
            took, their, pruned = torch_pruning(tp, name, example)
            seconds["torch-pruning"].append(took)
    for what in ("channels", "parameters", "macs"):
        found[what] = plan.left(what)  # type: ignore[arg-type]
    found["parameters counted"] = parameters(smaller)
    assert parameters(smaller) == found["parameters"][0]
    if tp is not None:
        layers = {layer for layer in (*mine, *their) if mine.get(layer) or their.get(layer)}
        differing = {x for x in layers if mine.get(x, set()) != their.get(x, set())}
        found["layers"] = len(layers)
        found["layers alike"] = len(layers) - len(differing)
        found["layers that differ"] = {
            layer: {
                "only ours": len(mine.get(layer, set()) - their.get(layer, set())),
                "only theirs": len(their.get(layer, set()) - mine.get(layer, set())),
                "both": len(their.get(layer, set()) & mine.get(layer, set())),
            }
            for layer in sorted(differing)
        }
        found["torch-pruning parameters"] = parameters(pruned)
        macs, _ = tp.utils.count_ops_and_params(pruned, example)
        ours_macs, _ = tp.utils.count_ops_and_params(smaller, example)
        found["macs by torch-pruning's counter"] = {"ours": ours_macs, "torch-pruning": macs}
        if not differing:
            with torch.no_grad():
                apart = (smaller(example) - pruned(example)).abs().max()
            found["largest difference of outputs"] = float(apart)
    found["seconds"] = {side_: taken for side_, taken in seconds.items() if taken}
    return found


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def latency(batch_sizes: list[int], repeats: int, side: int) -> dict[str, Any]:
    """Milliseconds a batch: dense, with the mask, and compacted, half of the channels of each layer gone."""
    torch.manual_seed(0)
    model = models.build(ModelSpec(name=LATENCY_NETWORK), (3, side, side), 10).eval()
    example = torch.rand(1, 3, side, side)
    plan = prune_channels(model, example, target_sparsity=RATIO, of="channels", scope="layer")
    masked = copy.deepcopy(model)
    apply(masked, plan.mask)
    contenders = {"dense": model, "masked": masked, "compacted": compact(model, plan)}
    result: dict[str, Any] = {
        "network": LATENCY_NETWORK,
        "side": side,
        "parameters": plan.left("parameters"),
        "macs": plan.left("macs"),
        "milliseconds": {},
    }
    with torch.no_grad():
        for size in batch_sizes:
            images = torch.rand(size, 3, side, side)
            for network in contenders.values():
                for _ in range(2):
                    network(images)
            taken: dict[str, list[float]] = {name: [] for name in contenders}
            for _ in range(repeats):
                for name, network in contenders.items():
                    taken[name].append(1e3 * timed(lambda: network(images))[0])  # noqa: B023
            result["milliseconds"][size] = taken
    return result


def environment(threads: int, tp: Any | None) -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), "")
    return {
        "cpu": model or platform.machine(),
        "cores": os.cpu_count(),
        "threads": threads,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "torch-pruning": importlib.metadata.version("torch-pruning") if tp else None,
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def median(runs: list[dict[str, float]], step: str) -> str:
    return f"{statistics.median(run[step] for run in runs):.3f}" if runs else "-"


def markdown(result: Mapping[str, Any]) -> str:
    machine = result["environment"]
    lines = [
        "# Channel pruning",
        "",
        f"{machine['cpu']}, {machine['threads']} threads, torch {machine['torch']}, torchvision "
        f"{machine['torchvision']}, Python {machine['python']}, Torch-Pruning {machine['torch-pruning']}; load average "
        f"before it began {machine['load']:.1f} on {machine['cores']} cores. {result['repeats']} repeats, interleaved.",
        "",
        f"    {result['command']}",
        "",
        f"{RATIO:.0%} of the channels of each layer, lowest L2 norm over all their rows and columns (without "
        f"depthwise weights, as Torch-Pruning takes it); inputs of "
        f"{result['side']} x {result['side']}; new weights.",
        "",
        "| network | layers with the same channels removed | parameters left | Torch-Pruning's | multiply-adds left |",
        "|---|--:|--:|--:|--:|",
    ]
    for one in result["networks"]:
        alike = f"{one['layers alike']} of {one['layers']}" if "layers" in one else "-"
        their = f"{one['torch-pruning parameters']:,}" if "layers" in one else "-"
        lines.append(
            f"| {one['network']} | {alike} | {one['parameters'][0]:,} of {one['parameters'][1]:,} | {their} "
            f"| {one['macs'][0]:,} of {one['macs'][1]:,} |"
        )
    lines += [
        "",
        "| seconds, median | | analysing | choosing | cutting | all | cutting and verifying |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for one in result["networks"]:
        for side, runs in one["seconds"].items():
            steps = [median(runs, step) for step in ("analysing", "choosing", "cutting", "all")]
            checked = median(runs, "cutting and verifying") if side == "ours" else "-"
            lines.append(f"| {one['network']} | {side} | {' | '.join(steps)} | {checked} |")
    fast = result["latency"]
    left, all_ = fast["parameters"]
    lines += [
        "",
        f"{fast['network']}, {fast['side']} x {fast['side']}: {left:,} of {all_:,} parameters, {fast['macs'][0]:,} of "
        f"{fast['macs'][1]:,} multiply-adds left.",
        "",
        "| batch | dense ms, median | masked | compacted | masked, times faster | compacted (low to high) |",
        "|--:|--:|--:|--:|--:|--:|",
    ]
    for size, taken in fast["milliseconds"].items():
        middle = {name: statistics.median(times) for name, times in taken.items()}
        quick = [d / c for d, c in zip(taken["dense"], taken["compacted"], strict=True)]
        same = [d / m for d, m in zip(taken["dense"], taken["masked"], strict=True)]
        lines.append(
            f"| {size} | {middle['dense']:.2f} | {middle['masked']:.2f} | {middle['compacted']:.2f} "
            f"| {statistics.median(same):.2f} | {statistics.median(quick):.2f} ({min(quick):.2f} to {max(quick):.2f}) |"
        )
    for one in result["networks"]:
        for layer, counts in one.get("layers that differ", {}).items():
            lines += ["", f"{one['network']} {layer}: {counts}"]
    return "\n".join(lines) + "\n"


def write(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.partial")
    aside.write_text(text)
    aside.replace(path)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2, help="torch threads (default: 2)")
    parser.add_argument("--repeats", type=int, default=5, help="of each kind (default: 5)")
    parser.add_argument("--side", type=int, default=224, help="pixels of the images (default: 224)")
    parser.add_argument(
        "--quick", action="store_true", help="two small networks at 64 pixels, once: seconds"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).parent / "results" / "channels",
        help="results go to OUTPUT.json and OUTPUT.md (default: %(default)s)",
    )
    return parser.parse_args()


def main() -> None:
    given = arguments()
    torch.set_num_threads(given.threads)
    tp = theirs()
    names = NETWORKS[::3] if given.quick else NETWORKS
    repeats, side = (1, 64) if given.quick else (given.repeats, given.side)
    machine = environment(given.threads, tp)
    compared = []
    for name in names:
        compared.append(compare(name, side, repeats, tp))
        print(name, "done", flush=True)
    result = {
        "command": f"python benchmarks/channels.py --threads {given.threads} --repeats {repeats} --side {side}",
        "repeats": repeats,
        "side": side,
        "environment": machine,
        "networks": compared,
        "latency": latency([1] if given.quick else [1, 32], 2 if given.quick else 4 * repeats, 32),
    }
    write(given.output.with_suffix(".json"), json.dumps(result, indent=2) + "\n")
    write(given.output.with_suffix(".md"), markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    main()
