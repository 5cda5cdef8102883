"""Do `lottery_tickets.wanda` and `sparsegpt` choose what their authors' code chooses, and how long does each take?

One linear layer of random weights and correlated inputs, on the CPU, in one run. The authors' classes come from
checkouts that you name; what they import and do not need here (transformers, CUDA) is stood in for.

    python benchmarks/activation_scores.py --wanda ~/wanda --sparsegpt ~/sparsegpt
"""

import argparse
import importlib
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from lottery_tickets import select_per_output, sparsegpt, wanda
from lottery_tickets.patterns import parse

SPARSITY = 0.5


def their_module(checkout: Path, path: str) -> ModuleType:
    """One file of a checkout."""
    stand_in = ModuleType("transformers")
    stand_in.Conv1D = type("Conv1D", (nn.Module,), {})  # type: ignore[attr-defined]
    spec = importlib.util.spec_from_file_location(f"theirs_{Path(path).stem}", checkout / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with (
        mock.patch.dict(sys.modules, {"transformers": stand_in}),
        mock.patch.object(sys, "path", [str(checkout), *sys.path]),
    ):
        spec.loader.exec_module(module)
    return module


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    answer = call()
    return time.perf_counter() - begun, answer


def compare_wanda(layer: nn.Linear, data: list[Tensor], checkout: Path) -> dict[str, float]:
    theirs = their_module(checkout, "lib/layerwrapper.py")

    def run() -> Tensor:
        wrapped = theirs.WrappedGPT(layer)
        for inputs in data:
            wrapped.add_batch(inputs, None)
        scores: Tensor = layer.weight.detach().abs() * wrapped.scaler_row.sqrt().reshape(1, -1)
        return scores

    their_seconds, scores = timed(run)
    our_seconds, ours = timed(lambda: wanda(layer, data)["weight"])
    lost = int(layer.in_features * SPARSITY)
    their_mask = torch.ones_like(scores, dtype=torch.bool)
    their_mask.scatter_(1, scores.sort(dim=1, stable=True).indices[:, :lost], False)
    our_mask = select_per_output({"weight": ours}, SPARSITY)["weight"]
    # They divide the squares by the number of sequences.
    sequences = sum(len(inputs) for inputs in data)
    off = (ours - scores * sequences**0.5).norm() / ours.norm()
    return {
        "their_seconds": their_seconds,
        "our_seconds": our_seconds,
        "relative_error": float(off),
        "masks_differ": float((our_mask != their_mask).float().mean()),
    }


def compare_sparsegpt(
    layer: nn.Linear, data: list[Tensor], checkout: Path, pattern: str | None
) -> dict[str, float]:
    theirs = their_module(checkout, "sparsegpt.py")
    copy = nn.Linear(layer.in_features, layer.out_features, bias=False)
    copy.load_state_dict(layer.state_dict())

    def run() -> Tensor:
        solver = theirs.SparseGPT(copy)
        for inputs in data:
            solver.add_batch(inputs, copy(inputs))
        kept, prune_m = parse(pattern) if pattern else (0, 0)
        prune_n = prune_m - kept  # theirs counts what goes
        with mock.patch.object(torch.cuda, "synchronize"):
            solver.fasterprune(SPARSITY, prunen=prune_n, prunem=prune_m)
        return copy.weight.detach()

    with torch.no_grad():
        their_seconds, their_weight = timed(run)
    our_seconds, ours = timed(lambda: sparsegpt(layer, data, pattern=pattern))
    inputs = torch.cat([part.flatten(0, 1) for part in data])
    dense = inputs @ layer.weight.detach().t()

    def loss(weight: Tensor) -> float:
        return float((inputs @ weight.t() - dense).norm() / dense.norm())

    return {
        "their_seconds": their_seconds,
        "our_seconds": our_seconds,
        "masks_differ": float((ours.mask["weight"] != (their_weight != 0)).float().mean()),
        "their_output_error": loss(their_weight),
        "our_output_error": loss(ours.weights["weight"]),
    }


def markdown(result: dict[str, Any]) -> str:
    lines = [
        "# Activation-aware scores against their authors' code",
        "",
        f"One linear layer of {result['features']} x {result['features']} fp32 weights, {result['samples']} sequences "
        f"of 64 tokens, {SPARSITY:.0%} pruned, {result['threads']} threads, torch {result['torch']}.",
        "",
        f"    {result['command']}",
        "",
        "| | mask entries that differ | s, theirs | s, ours | output error, theirs | ours |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, case in result["cases"].items():
        outputs = [case.get("their_output_error"), case.get("our_output_error")]
        shown = " | ".join("" if error is None else f"{error:.5f}" for error in outputs)
        lines.append(
            f"| {name} | {case['masks_differ']:.2%} | {case['their_seconds']:.2f} "
            f"| {case['our_seconds']:.2f} | {shown} |"
        )
    return "\n".join(lines) + "\n"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--wanda", type=Path, help="checkout of locuslab/wanda")
    parser.add_argument("--sparsegpt", type=Path, help="checkout of IST-DASLab/sparsegpt")
    parser.add_argument("--features", type=int, default=1024, help="of the layer (default: 1024)")
    parser.add_argument("--threads", type=int, default=2, help="torch threads (default: 2)")
    parser.add_argument("--quick", action="store_true", help="a small layer, to try the script")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).parent / "results" / "activation_scores",
        help="results go to OUTPUT.json and OUTPUT.md (default: %(default)s)",
    )
    given = parser.parse_args()
    if given.quick:
        given.features = 64
    if given.wanda is None and given.sparsegpt is None:
        parser.error("give a checkout to compare with: --wanda, --sparsegpt, or both")
    return given


def main() -> None:
    given = arguments()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    layer = nn.Linear(given.features, given.features, bias=False)
    mixing = torch.randn(given.features, given.features) / given.features**0.5
    data = [torch.randn(4, 64, given.features) @ mixing for _ in range(8)]
    wanda(layer, data[:1])  # code and threads are there before the clock starts
    cases = {}
    if given.wanda is not None:
        cases["Wanda"] = compare_wanda(layer, data, given.wanda)
    if given.sparsegpt is not None:
        cases["SparseGPT"] = compare_sparsegpt(layer, data, given.sparsegpt, None)
        cases["SparseGPT 2:4"] = compare_sparsegpt(layer, data, given.sparsegpt, "2:4")
    names = [name for name in ("wanda", "sparsegpt") if getattr(given, name) is not None]
    result = {
        "command": f"python benchmarks/activation_scores.py --features {given.features} "
        + " ".join(f"--{name} {name}" for name in names),
        "features": given.features,
        "samples": sum(len(inputs) for inputs in data),
        "threads": given.threads,
        "torch": torch.__version__,
        "load": os.getloadavg()[0],
        "cases": cases,
    }
    given.output.with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")
    given.output.with_suffix(".md").write_text(markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    main()
