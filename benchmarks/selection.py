"""How fast, how exact and how small in memory is `lottery_tickets.select`?

Times the threshold against `torch.sort`, `torch.kthvalue`, `torch.quantile` and the time to read the weights once,
and the whole call, masks included, against `torch.nn.utils.prune` and OpenLTH's `sparse_global`, all in one run. The
calls are interleaved, one of each a repeat, and every ratio is of two calls of the same repeat. Peak memory is read in
a fresh process per call, with the weights there before. Then the same for bf16 weights of 10 million to 1.3 billion,
made on the fly; the peers take part where they fit in memory. Needs about 6 GB.

    python benchmarks/selection.py --openlth ~/open_lth
    python benchmarks/selection.py --quick
"""

import argparse
import importlib
import itertools
import json
import multiprocessing
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from resident import status
from torch import Tensor
from torch.nn.utils import prune

from lottery_tickets import select, threshold

SPARSITY = 0.2
"""One round of iterative pruning, as OpenLTH's default."""

GOALS = {
    ("threshold", "sort"): 15.0,
    ("threshold", "kthvalue"): 5.0,
    ("select", "torch prune"): 1.0,
    ("select", "openlth"): 10.0,
}
READ_GOAL = 4.0
"""Most that the threshold may take next to reading the weights once."""
LINEAR_GOAL = 1.5
"""Most that a weight may cost among many next to what it costs among few."""
EXTRA_GOAL_MB = 64
MEMORY_CALLS = ("threshold", "select", "kthvalue", "sort", "quantile", "torch prune")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


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
        # It takes fp32 and fp64 alone, and interpolates.
        "quantile": lambda: float(flat.float().abs().quantile(removed / (len(flat) - 1))),
        "torch prune": lambda: global_unstructured(weights, removed),
        "read": lambda: read(flat),
    }
    if openlth is not None:
        found["openlth"] = sparse_global(weights, openlth)
    return found


def read(flat: Tensor) -> None:
    """Look at every byte once: sum them up as 8-byte integers, which takes no longer than they take to arrive."""
    width = 8 // flat.element_size()
    flat[: len(flat) // width * width].view(torch.int64).sum()


def global_unstructured(weights: Mapping[str, Tensor], removed: int) -> dict[str, Tensor]:
    """`torch.nn.utils.prune` on modules that hold these weights: it leaves masks, and weights times masks."""
    modules = {name: torch.nn.Module() for name in weights}
    for name, module in modules.items():
        module.weight = torch.nn.Parameter(weights[name])
    prune.global_unstructured(
        [(module, "weight") for module in modules.values()],
        pruning_method=prune.L1Unstructured,
        amount=removed,
    )
    return {name: module.get_buffer("weight_mask") for name, module in modules.items()}


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
            answers[name] = kept(answer) if isinstance(answer, Mapping) else answer
            del answer
        check(answers, len(flat))
        line = "  ".join(f"{name} {times[-1]:.3f} s" for name, times in wall.items())
        print(f"repeat {repeat + 1}/{repeats}: {line}", flush=True)
    return wall, cpu


def check(answers: Mapping[str, Any], count: int) -> None:
    """Stop if the answers of one repeat are not what they must be."""
    exact = {answers[name] for name in ("threshold", "kthvalue", "sort") if name in answers}
    assert len(exact) == 1, answers
    assert abs(answers.get("quantile", answers["threshold"]) - answers["threshold"]) < 1e-2, answers
    for name in ("select", "torch prune"):
        assert answers.get(name, answers["select"]) == count - round(SPARSITY * count), answers


def measure_sizes(
    sizes: list[int], repeats: int, threads: int, peers_up_to: int
) -> dict[str, dict[str, Any]]:
    """Seconds and extra MB for bf16 weights, by how many there are."""
    found: dict[str, dict[str, Any]] = {}
    for count in sizes:
        ours = ["threshold", "select", "read"]
        names = [*ours, *(("kthvalue", "sort", "quantile") if count <= peers_up_to else ())]
        extra = {
            name: measure_memory_apart(name, count, threads, "bf16")
            for name in names
            if name in MEMORY_CALLS
        }
        flat = torch.empty(count, dtype=torch.bfloat16).normal_()
        contenders = calls(flat, None)
        contenders["threshold"]()
        seconds: Seconds = {name: [] for name in names}
        for _ in range(repeats):
            answers = {}
            for name in names:
                took, _, answer = timed(contenders[name])
                seconds[name].append(took)
                answers[name] = kept(answer) if isinstance(answer, Mapping) else answer
                del answer
            check(answers, count)
        found[str(count)] = {"seconds": seconds, "extra_mb": extra}
        medians = "  ".join(f"{n} {statistics.median(times):.4f} s" for n, times in seconds.items())
        print(f"{count:,} bf16: {medians}; extra MB {extra}", flush=True)
        del flat, contenders
    return found


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


def measure_memory(name: str, count: int, threads: int, dtype: str) -> float:
    """Peak bytes of one call beyond the weights (and beyond the mask it returns), in MB, in this fresh process."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    flat = torch.empty(count, dtype=DTYPES[dtype]).normal_()
    calls(flat[:100_000], None)[name]()
    before = status("VmRSS")
    answer = calls(flat, None)[name]()
    extra = status("VmHWM") - before
    masks = answer.values() if isinstance(answer, Mapping) else ()
    return (extra - sum(mask.nbytes for mask in masks)) / 1e6


def measure_memory_apart(name: str, count: int, threads: int, dtype: str = "fp32") -> float:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "lottery_tickets"])  # imported once, for all
    with ProcessPoolExecutor(1, context) as fresh:
        return fresh.submit(measure_memory, name, count, threads, dtype).result()


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


def read_line(seconds: Mapping[str, list[float]]) -> str:
    """How long the threshold takes next to reading, repeat by repeat."""
    times = [a / b for a, b in zip(seconds["threshold"], seconds["read"], strict=True)]
    verdict = "reached" if statistics.median(times) <= READ_GOAL else "missed"
    return (
        f"The threshold takes {statistics.median(times):.2f} times as long as reading the weights once (lowest "
        f"{min(times):.2f}, highest {max(times):.2f}; goal at most {READ_GOAL:g}: {verdict})."
    )


def by_size(sizes: Mapping[str, Any]) -> list[str]:
    """The tables of bf16 weights."""
    lines = ["", "## bf16 weights, by how many there are", ""]
    lines += [
        "| weights | call | median s | lowest | highest | ns a weight | peak MB beyond weights and mask |",
        "|--:|---|--:|--:|--:|--:|--:|",
    ]
    for count, one in sizes.items():
        for name, times in one["seconds"].items():
            extra = one["extra_mb"].get(name)
            lines.append(
                f"| {int(count):,} | {name} | {statistics.median(times):.4f} | {min(times):.4f} | {max(times):.4f} "
                f"| {statistics.median(times) / int(count) * 1e9:.2f} | {'' if extra is None else f'{extra:.0f}'} |"
            )
    each = {
        int(n): statistics.median(one["seconds"]["threshold"]) / int(n) for n, one in sizes.items()
    }
    growth = each[max(each)] / each[min(each)]
    lines += [
        "",
        f"Among {max(each):,} weights each costs {growth:.2f} times what it costs among {min(each):,} (goal at most "
        f"{LINEAR_GOAL:g}: {'reached' if growth <= LINEAR_GOAL else 'missed'}).",
    ]
    for count, one in sizes.items():
        lines += ["", f"{int(count):,}: {read_line(one['seconds'])}"]
        for name, ratio in ratios(one["seconds"]).items():
            verdict = "reached" if ratio["median"] >= ratio["goal"] else "missed"
            lines[-1] += (
                f" It is {ratio['median']:.1f} times faster, {name.removeprefix('threshold ')} (goal "
                f"{ratio['goal']:g}: {verdict})."
            )
    peers = [int(count) for count, one in sizes.items() if "sort" in one["seconds"]]
    for count in (int(count) for count in sizes if peers and int(count) not in peers):
        most = sizes[str(max(peers))]["extra_mb"]
        need = ", ".join(
            f"{name} {(most[name] / max(peers) + 2e-6) * count / 1e3:.0f} GB"
            for name in ("kthvalue", "sort", "quantile")
        )
        lines += [
            "",
            f"On {count:,} the peers are not run: weights and extra bytes in proportion to those of {max(peers):,}, "
            f"they would need {need}.",
        ]
    return lines


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
    lines += ["", read_line(result["seconds"]), ""]
    lines += ["| call | peak MB beyond weights and mask |", "|---|--:|"]
    lines += [f"| {name} | {extra:.0f} |" for name, extra in result["extra_mb"].items()]
    worst = max(result["extra_mb"][name] for name in ("threshold", "select"))
    verdict = "reached" if worst < EXTRA_GOAL_MB else "missed"
    lines += ["", f"Goal for threshold and select: under {EXTRA_GOAL_MB} MB: {verdict}.", ""]
    lines += ["| whole call, exact masks | median s | kept |", "|---|--:|--:|"]
    lines += [
        f"| {n} | {case['seconds']:.3f} | {case['keep']:,} |"
        for n, case in result["hard_cases"].items()
    ]
    lines += by_size(result["sizes"])
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
        "--sizes",
        type=lambda text: [int(float(part)) for part in text.split(",")],
        default=[10_000_000, 100_000_000, 1_300_000_000],
        help="how many bf16 weights, with commas between (default: 1e7,1e8,1.3e9)",
    )
    parser.add_argument(
        "--peers-up-to",
        type=int,
        default=100_000_000,
        help="most bf16 weights on which sort, kthvalue and quantile take part (default: 100 million)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="a few seconds, to see that the script runs: no result"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).parent / "results" / "selection",
        help="results go to OUTPUT.json and OUTPUT.md (default: %(default)s)",
    )
    given = parser.parse_args()
    if given.quick:
        given.weights, given.sizes, given.repeats = 200_000, [100_000, 200_000], 2
        given.peers_up_to = 100_000
    return given


def main() -> None:
    given = arguments()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    machine = environment(given.threads)
    extra = {n: measure_memory_apart(n, given.weights, given.threads) for n in MEMORY_CALLS}
    print("peak MB beyond weights and mask:", extra, flush=True)
    flat = torch.empty(given.weights).normal_()
    seconds, processor = measure_times(flat, given.repeats, given.openlth)
    result: dict[str, Any] = {
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
    del flat
    result["sizes"] = measure_sizes(given.sizes, given.repeats, given.threads, given.peers_up_to)
    write(given.output.with_suffix(".json"), json.dumps(result, indent=2) + "\n")
    write(given.output.with_suffix(".md"), markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    main()
