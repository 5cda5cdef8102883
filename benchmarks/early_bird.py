"""Early-bird tickets: peak memory of stepping inside backward, and agreement with the authors' own code.

Memory: a network whose weights dominate is trained by `compute_early_bird_tickets` and by the loop everybody writes
(all gradients, then one step of all weights, the same checks between the epochs), each in a fresh process; the peak is
the process's highest resident size less its size before the network was built, glibc being told to give freed tensors
back (and once with its defaults, which keep them). Agreement: the authors' class EarlyBird
(main.py of their repository) looks at the same network after every epoch; masks, distances and verdicts are compared.

    python benchmarks/early_bird.py --early-bird ~/Early-Bird-Tickets
"""

import argparse
import ast
import contextlib
import io
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from resident import reset, status
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from lottery_tickets import prunable, prune
from lottery_tickets.early_bird import compute_early_bird_tickets
from lottery_tickets.finding.stability import Queue, Rule, Sample

EPOCHS = 6
STEPS = 2
SPARSITY = 0.5
GOAL = 1.3
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
CALLS = ("plain", "in backward", "in backward, weights brought back")
GIVES_BACK = {"MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
"""Has glibc give freed tensors back to the system. Left to itself it keeps blocks of up to 32 MB for later, and what
is resident says nothing about what is in use."""
DEFAULTS = ", glibc's defaults"
KEEP = 0.7
"""Share of the channels the authors' class is asked to keep."""


def network(layers: int, width: int, dtype: torch.dtype) -> nn.Module:
    modules: list[nn.Module] = []
    for _ in range(layers):
        modules += [nn.Linear(width, width, bias=False, dtype=dtype), nn.ReLU()]
    return nn.Sequential(*modules[:-1])


def data(width: int, batch: int, dtype: torch.dtype) -> list[tuple[Tensor, Tensor]]:
    return [
        (torch.randn(batch, width, dtype=dtype), torch.randn(batch, width, dtype=dtype))
        for _ in range(STEPS)
    ]


def plain(model: nn.Module, batches: list[tuple[Tensor, Tensor]], tell: Callable[..., None]) -> Any:
    """The same search with the usual loop."""
    weights = prunable(model)
    sample = Sample(weights, 1 << 20, None)
    queue = Queue(Rule("hamming", 1.0, SPARSITY, "global", 5))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for epoch in range(1, EPOCHS + 1):
        for step, (x, y) in enumerate(batches, 1):
            optimizer.zero_grad()
            mse_loss(model(x), y).backward()
            optimizer.step()
            tell("", step, len(batches))
        queue.look(sample.take(weights), epoch)
    optimizer.zero_grad()
    return prune(weights, target_sparsity=SPARSITY)


def early_bird(
    model: nn.Module,
    batches: list[tuple[Tensor, Tensor]],
    tell: Callable[..., None],
    *,
    restore: bool,
) -> Any:
    found = compute_early_bird_tickets(
        model,
        batches,
        EPOCHS,
        convergence_threshold=1.0,
        target_sparsity=SPARSITY,
        lr=1e-3,
        loss_fn=mse_loss,
        restore=restore,
        progress=tell,
    )
    return found["final_mask"]


def measure_memory(name: str, layers: int, width: int, batch: int, dtype: str) -> dict[str, float]:
    """Bytes in this fresh process: of the weights, of what is saved for backward, and the peaks beyond the start."""
    kind = DTYPES[dtype]
    warm = network(2, 64, kind)
    run(name, warm, data(64, batch, kind), lambda *_: None)
    before = status("VmRSS")
    model = network(layers, width, kind)
    batches = data(width, batch, kind)
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    activations = saved_bytes(model, batches[0])
    reset()
    training = 0

    def tell(*_: Any) -> None:
        nonlocal training
        training = status("VmHWM") - before

    clock = time.perf_counter()
    mask = run(name, model, batches, tell)
    seconds = time.perf_counter() - clock
    assert sum(int(kept.sum()) for kept in mask.values()) * 2 == layers * width * width
    return {
        "weights": weights,
        "activations": activations,
        "training": training,
        # The kernel tells a peak that it has not noted yet, and may have missed it when asked again.
        "whole": max(training, status("VmHWM") - before),
        "mask": layers * width * width,
        "seconds_a_step": seconds / (EPOCHS * STEPS),
    }


def run(name: str, model: nn.Module, batches: Any, tell: Callable[..., None]) -> Any:
    if name == "plain":
        return plain(model, batches, tell)
    return early_bird(model, batches, tell, restore="brought back" in name)


def saved_bytes(model: nn.Module, batch: tuple[Tensor, Tensor]) -> int:
    """What the forward pass keeps for backward beside the weights."""
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        mse_loss(model(batch[0]), batch[1])
    return sum(kept.values())


def measure_memory_apart(name: str, given: argparse.Namespace, dtype: str) -> dict[str, float]:
    call = name.removesuffix(DEFAULTS)
    command = [sys.executable, __file__, "--memory-of", call, "--dtype", dtype]
    for option in ("layers", "width", "batch", "threads"):
        command += [f"--{option}", str(getattr(given, option))]
    told = os.environ | ({} if call != name else GIVES_BACK)
    answer = subprocess.run(command, check=True, capture_output=True, text=True, env=told).stdout
    found: dict[str, float] = json.loads(answer)
    return found


def authors_class(checkout: Path) -> Any:
    """Their class EarlyBird, cut out of main.py, which as a whole is a training script."""
    tree = ast.parse((checkout / "main.py").read_text())
    wanted = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "EarlyBird"]
    if not wanted:
        raise SystemExit(f"early_bird: {checkout}/main.py has no class EarlyBird: name a checkout")
    names: dict[str, Any] = {"torch": torch, "nn": nn}
    exec(compile(ast.Module(wanted, []), "main.py", "exec"), names)  # noqa: S102  # the user named it
    return names["EarlyBird"]


def compare(checkout: Path, epochs: int) -> dict[str, Any]:
    """Train a small network on digits by our function, and have both look at it after every epoch."""
    table = load_digits()
    pixels = torch.tensor(table.data, dtype=torch.float32).view(-1, 1, 8, 8) / 16
    labels = torch.tensor(table.target)
    batches = list(zip(pixels.split(64), labels.split(64), strict=True))
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(1, 64, 3), nn.BatchNorm2d(64), nn.ReLU()),
        *(nn.Conv2d(64, 128, 3), nn.BatchNorm2d(128), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10)),
    )
    channels = 64 + 128
    percent = 1 - KEEP
    # Theirs keeps what is above the score at this index: that one goes too.
    pruned = int(channels * percent) + 1
    theirs = authors_class(checkout)(percent)
    distances: list[list[float]] = []
    verdicts: list[bool] = []

    def look(_: str, done: int, total: int | None) -> None:
        if done == total:
            with contextlib.redirect_stdout(io.StringIO()):
                verdicts.append(bool(theirs.early_bird_emerge(model)))
            distances.append(list(theirs.dists) if len(theirs.masks) == 5 else [])

    with mock.patch.object(torch.Tensor, "cuda", lambda self: self):
        ours = compute_early_bird_tickets(
            model,
            batches,
            epochs,
            target_sparsity=pruned / channels,
            unit="channel",
            optimizer=lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-4),
            loss_fn=cross_entropy,
            progress=look,
        )
    mask = torch.cat([kept.float() for kept in ours["final_mask"].values()])
    off = [
        abs(a - b)
        for check, other in zip(ours["checks"], distances, strict=True)
        if other
        for a, b in zip(check["distances"], other, strict=True)
    ]
    return {
        "channels": channels,
        "pruned": pruned,
        "epochs": ours["epochs"],
        "emerged_ours": ours["convergence_epoch"],
        "emerged_authors": verdicts.index(True) + 1 if True in verdicts else None,
        "distances_compared": len(off),
        "largest_difference": max(off, default=None),
        "same_mask": bool(torch.equal(mask, theirs.masks[-1])),
        "distances_ours": [check["distances"] for check in ours["checks"]],
        "distances_authors": distances,
    }


def environment(threads: int) -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return {
        "cpu": next(named, platform.machine()),
        "cores": os.cpu_count(),
        "threads": threads,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def ratio(found: Mapping[str, float], peak: str) -> float:
    """The peak beyond activations, in weights."""
    return (found[peak] - found["activations"]) / found["weights"]


def reached(share: float) -> str:
    return "reached" if share <= GOAL else "missed"


def markdown(result: Mapping[str, Any]) -> str:
    machine, shape = result["environment"], result["network"]
    told = " ".join(f"{name}={value}" for name, value in GIVES_BACK.items())
    lines = [
        "# Early-bird tickets in little memory",
        "",
        f"{shape['weights']:,} weights in {shape['layers']} linear layers, batch {shape['batch']}, {machine['cpu']}, "
        f"{machine['threads']} threads, torch {machine['torch']}, Python {machine['python']}; load average before it "
        f"began {machine['load']:.1f} on {machine['cores']} cores. {EPOCHS} epochs of {STEPS} steps; resident memory "
        f"beyond what the process had before the network, each in a fresh process. glibc is told to give freed tensors "
        f"back ({told}); with its defaults it keeps those of up to 32 MB.",
        "",
        f"    {result['command']}",
        "",
        "| | weights MB | activations MB | peak of training MB | (peak - activations) / weights | peak of the call MB, "
        "with the mask it returns | s a step |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for dtype, calls in result["memory"].items():
        for name, found in calls.items():
            lines.append(
                f"| {dtype}, {name} | {found['weights'] / 1e6:.0f} | {found['activations'] / 1e6:.1f} "
                f"| {found['training'] / 1e6:.0f} | {ratio(found, 'training'):.2f} | {found['whole'] / 1e6:.0f} "
                f"| {found['seconds_a_step']:.2f} |"
            )
    worst, untold = (
        max(ratio(calls["in backward" + way], "training") for calls in result["memory"].values())
        for way in ("", DEFAULTS)
    )
    lines += [
        "",
        f"Goal for stepping inside backward: at most {GOAL} x weights + activations: {reached(worst)} ({worst:.2f}); "
        f"with glibc's defaults {reached(untold)} ({untold:.2f}). The mask is a byte a weight, made when training is "
        f"over. Bringing the weights back keeps a copy of them on the host, which on a CPU is the same memory. Seconds "
        f"include the checks, and are of one run each, beside whatever else the machine did.",
    ]
    found = result["agreement"]
    if found:
        lines += [
            "",
            "## Against the authors' code",
            "",
            f"Batch norm scales of {found['channels']} channels, {found['pruned']} pruned, looked at after every epoch "
            f"of the same training (theirs keeps what is above the score at index int(n p), so one more goes).",
            "",
            "| | ours | authors |",
            "|---|--:|--:|",
            f"| emerged after epoch | {found['emerged_ours']} | {found['emerged_authors']} |",
            "",
            f"{found['distances_compared']} distances compared; largest difference {found['largest_difference']:.1e}; "
            f"last mask {'the same' if found['same_mask'] else 'DIFFERENT'}.",
        ]
    return "\n".join(lines) + "\n"


def write(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.partial")
    aside.write_text(text)
    aside.replace(path)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--layers", type=int, default=24, help="linear layers (default: 24)")
    add("--width", type=int, default=2048, help="of each (default: 2048: 100.7 million weights)")
    add("--batch", type=int, default=16, help="samples (default: 16)")
    add("--threads", type=int, default=2, help="torch threads (default: 2)")
    add(
        "--quick",
        action="store_true",
        help="a small network: seconds, and figures that say nothing",
    )
    add(
        "--early-bird",
        type=Path,
        help="checkout of GATECH-EIC/Early-Bird-Tickets; without it, not compared",
    )
    add(
        "--output",
        type=Path,
        default=Path(__file__).parent / "results" / "early_bird",
        help="results go to OUTPUT.json and OUTPUT.md (default: %(default)s)",
    )
    add("--memory-of", choices=CALLS, help=argparse.SUPPRESS)
    add("--dtype", choices=DTYPES, default="fp32", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.quick:
        given.layers, given.width = 4, 256
    return given


def main() -> None:
    given = arguments()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    if given.memory_of:
        found = measure_memory(given.memory_of, given.layers, given.width, given.batch, given.dtype)
        print(json.dumps(found))
        return
    machine = environment(given.threads)
    memory: dict[str, Any] = {}
    for dtype in DTYPES:
        memory[dtype] = {}
        for name in (*CALLS, "plain" + DEFAULTS, "in backward" + DEFAULTS):
            memory[dtype][name] = measure_memory_apart(name, given, dtype)
            share = ratio(memory[dtype][name], "training")
            print(f"{dtype}, {name}: {share:.2f} x weights + activations", flush=True)
    command = "python benchmarks/early_bird.py" + "".join(
        f" --{name} {getattr(given, name)}" for name in ("layers", "width", "batch", "threads")
    )
    result = {
        "command": command + (" --early-bird Early-Bird-Tickets" if given.early_bird else ""),
        "network": {
            "layers": given.layers,
            "width": given.width,
            "batch": given.batch,
            "weights": given.layers * given.width**2,
        },
        "environment": machine,
        "memory": memory,
        "agreement": compare(given.early_bird, 30) if given.early_bird else None,
    }
    write(given.output.with_suffix(".json"), json.dumps(result, indent=2) + "\n")
    write(given.output.with_suffix(".md"), markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    main()
