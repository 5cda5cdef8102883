"""How fast, how exact and how small in memory is `lottery_tickets.select`?

Times the threshold against `torch.sort` and `torch.kthvalue`, and the whole call, masks included, against
OpenLTH's `sparse_global`, all in one run. The calls are interleaved, one of each a repeat, and every ratio is of
two calls of the same repeat. Peak memory is read in a fresh process per call, with the weights there before.
Needs about 4 GB.

    python benchmarks/selection.py --openlth ~/open_lth
"""

import argparse
import importlib
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from lottery_tickets import select, threshold

SPARSITY = 0.2
"""One round of iterative pruning, as OpenLTH's default."""

GOALS = {
    ("threshold", "sort"): 15.0,
    ("threshold", "kthvalue"): 5.0,
    ("select", "openlth"): 10.0,
}
EXTRA_GOAL_MB = 64
MEMORY_CALLS = ("threshold", "select", "kthvalue", "sort")


def network(flat: Tensor) -> dict[str, Tensor]:
    """The weights as layers of uneven size: views, so that those who need one vector get it for nothing."""
    bounds = [round(len(flat) * part) for part in (0, 0.01, 0.05, 0.15, 0.40, 0.95, 1)]
    return {f"layer{i}.weight": flat[a:b] for i, (a, b) in enumerate(itertools.pairwise(bounds))}


def calls(flat: Tensor, openlth: Path | None) -> dict[str, Callable[[], Any]]:
    """What is timed, by name. Each answers what it found."""
    weights = network(flat)
    removed = round(SPARSITY * len(flat))
    keep = len(flat) - removed
    found: dict[str, Callable[[], Any]] = {
        "threshold": lambda: threshold(weights, keep, absolute=True),
        "kthvalue": lambda: float(flat.abs().kthvalue(removed + 1).values),
        "sort": lambda: float(flat.abs().sort().values[removed]),
        "select": lambda: select(weights, keep, absolute=True),
    }
    if openlth is not None:
        found["openlth"] = sparse_global(weights, openlth)
    return found


def sparse_global(
    weights: Mapping[str, Tensor], openlth: Path
) -> Callable[[], Mapping[str, Tensor]]:
    """OpenLTH's own strategy, from its checkout, on a network of these weights."""
    if str(openlth) not in sys.path:
        sys.path.insert(0, str(openlth))
    # Its class for distributed training, not used here, no longer goes with torch's; any module will do. And its
    # modules import each other: this order works.
    with mock.patch.object(torch.nn.parallel, "DistributedDataParallel", torch.nn.Identity):
        importlib.import_module("lottery.desc")
    theirs = importlib.import_module("pruning.sparse_global")

    class Network:
        prunable_layer_names = list(weights)

        def state_dict(self) -> Mapping[str, Tensor]:
            return weights

    hparams = theirs.PruningHparams("sparse_global", pruning_fraction=SPARSITY)
    return lambda: theirs.Strategy.prune(hparams, Network())


def timed(call: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds by the clock, seconds of processor time over all threads, and the answer."""
    wall, cpu = time.perf_counter(), time.process_time()
    answer = call()
    return time.perf_counter() - wall, time.process_time() - cpu, answer


def kept(mask: Mapping[str, Tensor]) -> int:
    return sum(int(torch.count_nonzero(tensor)) for tensor in mask.values())


Seconds = dict[str, list[float]]


def measure_times(flat: Tensor, repeats: int, openlth: Path | None) -> tuple[Seconds, Seconds]:
    """Seconds by the clock and of processor time, of each call in each repeat; stops if an answer is wrong."""
    contenders = calls(flat, openlth)
    calls(flat[:100_000], None)["select"]()  # code and threads are there before the clock starts
    wall: Seconds = {name: [] for name in contenders}
    cpu: Seconds = {name: [] for name in contenders}
    for repeat in range(repeats):
        answers = {}
        for name, call in contenders.items():
            clock, processor, answer = timed(call)
            wall[name].append(clock)
            cpu[name].append(processor)
            answers[name] = answer if isinstance(answer, float) else kept(answer)
            del answer
        assert answers["threshold"] == answers["kthvalue"] == answers["sort"], answers
        assert answers["select"] == len(flat) - round(SPARSITY * len(flat)), answers
        line = "  ".join(f"{name} {times[-1]:.3f} s" for name, times in wall.items())
        print(f"repeat {repeat + 1}/{repeats}: {line}", flush=True)
    return wall, cpu


def measure_hard_cases(flat: Tensor, repeats: int) -> dict[str, dict[str, float]]:
    """Seconds (median) of the whole call where a histogram or a shortcut could do badly, with the exact count."""
    count = len(flat)
    sparse = select(network(flat), count // 100, absolute=True)
    cases: dict[str, tuple[Callable[[], dict[str, Tensor]], dict[str, Tensor] | None]] = {
        "normal": (lambda: network(flat), None),
        "99% already pruned": (lambda: network(flat), sparse),
        "normal, bf16": (lambda: network(flat.to(torch.bfloat16)), None),
        "all equal": (lambda: network(torch.full((count,), 0.5)), None),
        "three values": (lambda: network(flat.sign().mul_((flat.abs() > 1).float())), None),
        "lognormal, 40 decades": (lambda: network((flat * 20).exp_()), None),
    }
    found = {}
    for name, (build, among) in cases.items():
        weights = build()
        keep = round((1 - SPARSITY) * (count if among is None else kept(among)))
        times = []
        for _ in range(repeats):
            took, _, mask = timed(lambda: select(weights, keep, among=among, absolute=True))  # noqa: B023
            times.append(took)
            assert kept(mask) == keep, name
            del mask
        found[name] = {"seconds": statistics.median(times), "keep": keep}
        print(f"{name}: {found[name]['seconds']:.3f} s", flush=True)
    return found


def count_excess(flat: Tensor, openlth: Path) -> dict[str, dict[str, int]]:
    """Weights that OpenLTH prunes beyond those asked for, without ties and with the ties of 16-bit weights."""
    removed = round(SPARSITY * len(flat))
    found = {}
    for name, weights in {"fp32": flat, "bf16 values": flat.to(torch.bfloat16).float()}.items():
        theirs = len(flat) - kept(sparse_global(network(weights), openlth)())
        ours = len(flat) - kept(select(network(weights), len(flat) - removed, absolute=True))
        found[name] = {"asked": removed, "openlth": theirs, "select": ours}
    return found


def measure_memory(name: str, count: int) -> float:
    """Peak bytes of one call beyond the weights (and beyond the mask it returns), in MB, in this fresh process."""
    flat = torch.empty(count).normal_()
    calls(flat[:100_000], None)[name]()
    before = _status("VmRSS")
    answer = calls(flat, None)[name]()
    extra = _status("VmHWM") - before
    return (extra - (0 if isinstance(answer, float) else count)) / 1e6


def _status(field: str) -> int:
    """A line of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def measure_memory_apart(name: str, count: int, threads: int) -> float:
    command = [
        sys.executable,
        __file__,
        "--memory-of",
        name,
        "--weights",
        str(count),
        "--threads",
        str(threads),
    ]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def environment(threads: int) -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), ""
    )
    return {
        "cpu": model or platform.machine(),
        "cores": os.cpu_count(),
        "threads": threads,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def ratios(seconds: Mapping[str, list[float]]) -> dict[str, dict[str, float]]:
    """How many times longer the other took, repeat by repeat: median, lowest, highest, goal."""
    found = {}
    for (ours, other), goal in GOALS.items():
        if other in seconds:
            pairs = [b / a for a, b in zip(seconds[ours], seconds[other], strict=True)]
            found[f"{ours} against {other}"] = {
                "median": statistics.median(pairs),
                "low": min(pairs),
                "high": max(pairs),
                "goal": goal,
            }
    return found


def markdown(result: Mapping[str, Any]) -> str:
    machine = result["environment"]
    lines = [
        "# Selecting the weights to keep",
        "",
        f"{result['weights']:,} fp32 weights in 6 tensors, {SPARSITY:.0%} to be removed, {machine['cpu']}, "
        f"{machine['threads']} threads, torch {machine['torch']}, Python {machine['python']}; load average before "
        f"it began {machine['load']:.1f} on {machine['cores']} cores. {result['repeats']} repeats, interleaved.",
        "",
        f"    {result['command']}",
        "",
        "| call | median s | lowest | highest | processor s, median |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, times in result["seconds"].items():
        lines.append(
            f"| {name} | {statistics.median(times):.3f} | {min(times):.3f} | {max(times):.3f} "
            f"| {statistics.median(result['processor_seconds'][name]):.3f} |"
        )
    lines += [
        "",
        "| times faster | median | lowest | highest | goal | |",
        "|---|--:|--:|--:|--:|---|",
    ]
    for name, ratio in result["ratios"].items():
        verdict = "reached" if ratio["median"] >= ratio["goal"] else "missed"
        lines.append(
            f"| {name} | {ratio['median']:.1f} | {ratio['low']:.1f} | {ratio['high']:.1f} | {ratio['goal']:.0f} "
            f"| {verdict} |"
        )
    lines += ["", "| call | peak MB beyond weights and mask |", "|---|--:|"]
    lines += [f"| {name} | {extra:.0f} |" for name, extra in result["extra_mb"].items()]
    worst = max(result["extra_mb"][name] for name in ("threshold", "select"))
    verdict = "reached" if worst < EXTRA_GOAL_MB else "missed"
    lines += ["", f"Goal for threshold and select: under {EXTRA_GOAL_MB} MB: {verdict}.", ""]
    lines += ["| whole call, exact masks | median s | kept |", "|---|--:|--:|"]
    lines += [
        f"| {n} | {case['seconds']:.3f} | {case['keep']:,} |"
        for n, case in result["hard_cases"].items()
    ]
    if result["excess"]:
        lines += [
            "",
            "| pruned | asked | select | OpenLTH | OpenLTH too many |",
            "|---|--:|--:|--:|--:|",
        ]
    for name, pruned in result["excess"].items():
        excess = pruned["openlth"] - pruned["asked"]
        lines.append(
            f"| {name} | {pruned['asked']:,} | {pruned['select']:,} | {pruned['openlth']:,} "
            f"| {excess:,} ({excess / pruned['asked']:.2%}) |"
        )
    return "\n".join(lines) + "\n"


def write(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.partial")
    aside.write_text(text)
    aside.replace(path)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--weights", type=int, default=100_000_000, help="how many (default: 100 million)"
    )
    parser.add_argument("--threads", type=int, default=2, help="torch threads (default: 2)")
    parser.add_argument("--repeats", type=int, default=5, help="calls of each kind (default: 5)")
    parser.add_argument(
        "--openlth",
        type=Path,
        help="checkout of facebookresearch/open_lth; without it, not compared",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).parent / "results" / "selection",
        help="results go to OUTPUT.json and OUTPUT.md (default: %(default)s)",
    )
    parser.add_argument("--memory-of", choices=MEMORY_CALLS, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    given = arguments()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    if given.memory_of:
        print(measure_memory(given.memory_of, given.weights))
        return
    machine = environment(given.threads)
    extra = {n: measure_memory_apart(n, given.weights, given.threads) for n in MEMORY_CALLS}
    print("peak MB beyond weights and mask:", extra, flush=True)
    flat = torch.empty(given.weights).normal_()
    seconds, processor = measure_times(flat, given.repeats, given.openlth)
    result = {
        "command": f"python benchmarks/selection.py --weights {given.weights} --threads {given.threads} "
        f"--repeats {given.repeats}" + (" --openlth open_lth" if given.openlth else ""),
        "weights": given.weights,
        "repeats": given.repeats,
        "environment": machine,
        "seconds": seconds,
        "processor_seconds": processor,
        "ratios": ratios(seconds),
        "extra_mb": extra,
        "hard_cases": measure_hard_cases(flat, min(given.repeats, 3)),
        "excess": count_excess(flat[: given.weights // 10], given.openlth) if given.openlth else {},
    }
    write(given.output.with_suffix(".json"), json.dumps(result, indent=2) + "\n")
    write(given.output.with_suffix(".md"), markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    main()
