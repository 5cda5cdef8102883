"""Does `lottery_tickets.predict_peak` say how much memory a method will take?

Each case runs in a fresh process: the network is built there, the method is run, and the peak of memory beyond what
the process had before the network is compared with the prediction, which is made elsewhere, on the meta device. On the
CPU memory is resident memory, with glibc told to give back what is freed; on a GPU what torch's allocator handed out.
Beside that, the tables that the planner computes for networks of 0.5 to 14 billion weights. Needs about 10 GB.

    python benchmarks/sizing.py
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.utils.checkpoint
from fisher import GPT, environment, write
from resident import RETURNED, Peak
from torch import Tensor, nn
from torch.nn import functional

import lottery_tickets as lt
from lottery_tickets.running import batch_loss

GOAL = 0.15
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
STEPS = 2
LENGTH = 128
BATCH = 4
PICTURES = 64

Build = Callable[[bool, torch.dtype], nn.Module]
Data = Callable[[bool, torch.dtype], list[Any]]
Call = Callable[[nn.Module, list[Any]], Any]


def gpt(quick: bool, dtype: torch.dtype) -> nn.Module:
    layers, width = (2, 128) if quick else (8, 1024)
    return GPT(layers, width, LENGTH).to(dtype)


def sequences(_: bool, __: torch.dtype) -> list[Any]:
    drawn = torch.randint(0, 8192, (STEPS, BATCH, LENGTH))
    return [{"input_ids": ids, "labels": ids} for ids in drawn]


def convnet(quick: bool, dtype: torch.dtype) -> nn.Module:
    """Convolutions with batch norm, and two linear layers: VGG's kind."""
    widths = (32, 64) if quick else (64, 64, 128, 128, 256, 256, 512, 512, 512)
    layers: list[nn.Module] = []
    before = 3
    for place, width in enumerate(widths):
        stride = 2 if place % 2 else 1
        layers += [nn.Conv2d(before, width, 3, stride, 1), nn.BatchNorm2d(width), nn.ReLU()]
        before = width
    head = 256 if quick else 4096
    layers += [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * before, head), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(head, head), nn.ReLU(), nn.Linear(head, 10)).to(dtype)


def pictures(_: bool, dtype: torch.dtype) -> list[Any]:
    return [
        (torch.randn(PICTURES, 3, 32, 32, dtype=dtype), torch.randint(0, 10, (PICTURES,)))
        for _ in range(STEPS)
    ]


NETWORKS: dict[str, tuple[Build, Data]] = {
    "GPT": (gpt, sequences),
    "convnet": (convnet, pictures),
}


def trained(model: nn.Module, data: list[Any], make: Callable[..., torch.optim.Optimizer]) -> Any:
    def train(network: nn.Module, mask: lt.PruningMask) -> None:
        optimizer = make(network.parameters())
        for batch in data:
            optimizer.zero_grad()
            batch_loss(network, batch).backward()
            optimizer.step()
            mask.apply(network)

    return lt.compute_iterative_magnitude_pruning(
        model, None, train, target_sparsity=0.5, pruning_rounds=2
    )


def early_bird(model: nn.Module, data: list[Any], **options: Any) -> Any:
    return lt.compute_early_bird_tickets(
        model, data[:1], 5, convergence_threshold=1.0, progress=False, **options
    )


def adamw(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=1e-5)


def sgd(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=1e-5)


CALLS: dict[str, tuple[str, dict[str, Any], Call]] = {
    "magnitude": ("magnitude", {}, lambda m, _: lt.create_magnitude_mask(m, 0.5)),
    "gradient": ("gradient", {}, lambda m, d: lt.gradient(m, d)),
    "snip": ("snip", {}, lambda m, d: lt.snip(m, d)),
    "taylor": ("taylor", {}, lambda m, d: lt.taylor(m, d)),
    "fisher": ("fisher", {}, lambda m, d: lt.compute_fisher_importance(m, d, 3)),
    "fisher, host": (
        "fisher",
        {"store": "host"},
        lambda m, d: lt.compute_fisher_importance(m, d, 3, store="host"),
    ),
    "grasp": ("grasp", {}, lambda m, d: lt.grasp(m, d[:1])),
    "synflow": ("synflow", {}, lambda m, d: lt.synflow(m, d, rounds=2)),
    "wanda": ("wanda", {}, lambda m, d: lt.wanda(m, d)),
    "sparsegpt": ("sparsegpt", {}, lambda m, d: lt.sparsegpt(m, d)),
    "hybrid": ("hybrid", {}, lambda m, d: lt.compute_hybrid_importance(m, d, num_samples=5)),
    "early-bird": ("early-bird", {}, lambda m, d: early_bird(m, d, lr=1e-5)),
    "early-bird, not restored": (
        "early-bird",
        {"restore": False},
        lambda m, d: early_bird(m, d, lr=1e-5, restore=False),
    ),
    "early-bird, AdamW": (
        "early-bird",
        {"optimizer": "adamw"},
        lambda m, d: early_bird(m, d, lr=1e-5, use_sgd=False),
    ),
    "imp": ("imp", {}, lambda m, d: trained(m, d, sgd)),
    "imp, AdamW": ("imp", {"optimizer": "adamw"}, lambda m, d: trained(m, d, adamw)),
    "robustness": (
        "robustness",
        {},
        lambda m, d: lt.compute_pruning_robustness(m, d[0], [0.5, 0.9]),
    ),
    "landscape": ("landscape", {}, lambda m, d: lt.compute_loss_landscape(m, d[:1], grid_points=2)),
}
"""Name -> method, options, what is run."""

NARROW = (
    *("magnitude", "taylor", "fisher", "fisher, host", "wanda"),
    *("early-bird, not restored", "robustness", "landscape"),
)
"""What is measured in bf16 too."""

CASES = [
    *(("GPT", "fp32", call) for call in CALLS),
    *(("convnet", "fp32", call) for call in CALLS),
    *(("GPT", "bf16", call) for call in NARROW),
]
"""Network, dtype, what is called."""


def predict(case: tuple[str, str, str], quick: bool, device: str) -> lt.Prediction:
    network, dtype, call = case
    build, data = NETWORKS[network]
    method, options, _ = CALLS[call]
    with torch.device("meta"):
        model = build(quick, DTYPES[dtype])
        example = data(quick, DTYPES[dtype])[0]
    return lt.predict_peak(model, method, example, device=device, **options)


def measure(case: tuple[str, str, str], quick: bool, device: str) -> dict[str, float]:
    """Bytes in this fresh process."""
    network, dtype, call = case
    build, data = NETWORKS[network]
    run = CALLS[call][2]
    kind = DTYPES[dtype]
    batches = [_moved(batch, device) for batch in data(quick, kind)]
    # Code, threads and libraries are there before it counts.
    run(build(True, kind).to(device), batches)
    peak = Peak(device)
    before = torch.get_default_dtype()
    torch.set_default_dtype(kind)  # at once in this dtype, so that no wider copy is ever there
    with torch.device(device):
        model = build(quick, kind)
    torch.set_default_dtype(before)
    begun = time.perf_counter()
    found = run(model, batches)
    seconds = time.perf_counter() - begun
    assert found is not None
    return {"bytes": peak.extra(), "seconds": seconds}


def _moved(batch: Any, device: str) -> Any:
    return lt.running.move(batch, device)


def measure_apart(case: tuple[str, str, str], given: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, __file__, "--memory-of", json.dumps(case), *_options(given)]
    answer = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | RETURNED
    ).stdout
    found: dict[str, float] = json.loads(answer.splitlines()[-1])
    return found


def _options(given: argparse.Namespace) -> list[str]:
    options = ["--threads", str(given.threads), "--device", given.device]
    return [*options, "--quick"] if given.quick else options


class GatedBlock(nn.Module):
    """A block as those of today's language models: grouped queries, a gated half, no biases but of the queries."""

    def __init__(self, width: int, heads: int, groups: int, hidden: int) -> None:
        super().__init__()
        self.size = width // heads
        self.norm1, self.norm2 = nn.RMSNorm(width), nn.RMSNorm(width)
        self.query = nn.Linear(width, width)
        self.key, self.value = (nn.Linear(width, groups * self.size) for _ in range(2))
        self.out = nn.Linear(width, width, bias=False)
        self.gate, self.up = (nn.Linear(width, hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        query, key, value = (
            f(y).unflatten(-1, (-1, self.size)).transpose(1, 2)
            for f in (self.query, self.key, self.value)
        )
        several = query.shape[1] // key.shape[1]
        key, value = (one.repeat_interleave(several, 1) for one in (key, value))
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        y = self.norm2(x)
        return x + self.down(functional.silu(self.gate(y)) * self.up(y))


class LanguageModel(nn.Module):
    """Such blocks, each recomputed in the backward pass, between embeddings."""

    def __init__(
        self, layers: int, width: int, heads: int, groups: int, hidden: int, *, tied: bool
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, width)
        self.blocks = nn.ModuleList(GatedBlock(width, heads, groups, hidden) for _ in range(layers))
        self.norm, self.head = nn.RMSNorm(width), nn.Linear(width, VOCABULARY, bias=False)
        if tied:
            self.head.weight = self.tokens.weight

    def forward(self, input_ids: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        x = self.tokens(input_ids)
        for block in self.blocks:
            x = torch.utils.checkpoint.checkpoint(block, x, use_reentrant=False)
        logits = self.head(self.norm(x))
        if labels is None:
            return {"logits": logits}
        loss = functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        return {"loss": loss}


VOCABULARY = 151_936
SIZES: dict[str, tuple[int, int, int, int, int, bool]] = {
    "0.5B": (24, 896, 14, 2, 4864, True),
    "1.5B": (28, 1536, 12, 2, 8960, True),
    "7B": (28, 3584, 28, 4, 18944, False),
    "14B": (48, 5120, 40, 8, 13824, False),
}
"""Layers, width, heads, groups of keys, hidden width, tied embeddings: Qwen2.5's (2412.15115, table 1)."""
TOKENS = 1024
GPUS = {f"{size} GiB": size * 2**30 for size in (16, 40, 80, 141)}


def tables(quick: bool) -> str:
    """What the planner says of the language models, in bf16."""
    models = {}
    for name in list(SIZES)[:1] if quick else SIZES:
        *shape, tied = SIZES[name]
        with torch.device("meta"):
            model = LanguageModel(*shape, tied=tied).to(torch.bfloat16)
            ids = torch.zeros(1, TOKENS, dtype=torch.long)
        models[name] = (model, {"input_ids": ids, "labels": ids})
    return lt.memory_tables(models, GPUS, max_batch_size=4 if quick else 32)


def rows(cases: list[dict[str, Any]]) -> Iterator[str]:
    for case in cases:
        parts = sorted(case["parts"].items(), key=lambda item: -item[1])
        most = ", ".join(f"{part} {size / 1e6:.0f}" for part, size in parts if size > 0)
        verdict = "" if abs(case["ratio"] - 1) <= GOAL else ", missed"
        yield (
            f"| {case['network']} | {case['dtype']} | {case['call']} | {case['weights'] / 1e6:.0f} "
            f"| {case['predicted'] / 1e6:.0f} | {case['measured'] / 1e6:.0f} | {case['ratio']:.3f}{verdict} "
            f"| {case['beside']:.3f} | {most} |"
        )


def markdown(result: Mapping[str, Any]) -> str:
    machine, cases = result["environment"], result["cases"]
    within = [case for case in cases if abs(case["ratio"] - 1) <= GOAL]
    beside = [case for case in cases if abs(case["beside"] - 1) <= GOAL]
    lines = [
        "# Sizing: predicted against measured peaks",
        "",
        f"Networks of random weights; {BATCH} sequences of {LENGTH} tokens, or {PICTURES} pictures of 32 x 32, in a "
        f"batch; {machine['device']}, {machine['threads']} threads, torch {machine['torch']}, Python "
        f"{machine['python']}. Measured in a fresh process for each row, weights included. On the CPU memory is "
        f"resident memory with {'='.join(next(iter(RETURNED.items())))}. The prediction is made on the meta device.",
        "",
        f"    {result['command']}",
        "",
        "| network | dtype | method | weights MB | predicted MB | measured MB | predicted / measured "
        "| the same without weights | predicted parts, MB |",
        "|---|---|---|--:|--:|--:|--:|--:|---|",
        *rows(cases),
        "",
        f"Goal: within {GOAL:.0%} of what is measured: {len(within)} of {len(cases)} rows. Without the weights, which "
        f"are known beforehand: {len(beside)} of {len(cases)}.",
        "",
        "## What the planner says of larger networks",
        "",
        f"Language models of bf16 weights on the meta device, {TOKENS} tokens a sequence, blocks recomputed in the "
        f"backward pass; nothing here was measured. A tenth of each memory stays in reserve; the host has 256 GiB. "
        "IMP and early bird train with SGD. The number of samples "
        "that a score reads, and that of grid points, change no memory.",
        "",
        result["tables"],
    ]
    return "\n".join(lines).rstrip() + "\n"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1, help="torch threads (default: 1)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    parser.add_argument("--only", help="measure the cases whose name has this in it, e.g. GPT,fp32")
    parser.add_argument("--quick", action="store_true", help="small networks, to try the script")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).parent / "results" / "sizing",
        help="results go to OUTPUT.json and OUTPUT.md (default: %(default)s)",
    )
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    given = arguments()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    if given.memory_of:
        print(json.dumps(measure(tuple(json.loads(given.memory_of)), given.quick, given.device)))
        return
    chosen = [case for case in CASES if not given.only or given.only in ",".join(case)]
    result: dict[str, Any] = {
        "command": " ".join(["python benchmarks/sizing.py", *_options(given)]),
        "environment": environment(given),
        "cases": [],
    }
    for case in chosen:
        result["cases"].append(compared(case, given))
        print(f"{', '.join(case)}: {result['cases'][-1]['ratio']:.3f}", flush=True)
        write(given.output.with_suffix(".json"), json.dumps(result, indent=2) + "\n")
    result["tables"] = tables(given.quick)
    write(given.output.with_suffix(".json"), json.dumps(result, indent=2) + "\n")
    write(given.output.with_suffix(".md"), markdown(result))
    print(markdown(result))


def compared(case: tuple[str, str, str], given: argparse.Namespace) -> dict[str, Any]:
    """The prediction beside the measurement."""
    prediction = predict(case, given.quick, given.device)
    measured = measure_apart(case, given)
    weights = lt.predict_peak(_meta(case, given.quick), "magnitude").parts["weights"]
    return {
        "network": case[0],
        "dtype": case[1],
        "call": case[2],
        "weights": weights,
        "predicted": prediction.device_bytes,
        "predicted_host": prediction.host_bytes,
        "measured": measured["bytes"],
        "ratio": prediction.device_bytes / measured["bytes"],
        "beside": (prediction.device_bytes - weights) / (measured["bytes"] - weights),
        "parts": prediction.parts,
        "activations": prediction.activations,
        "seconds": measured["seconds"],
    }


def _meta(case: tuple[str, str, str], quick: bool) -> nn.Module:
    with torch.device("meta"):
        return NETWORKS[case[0]][0](quick, DTYPES[case[1]])


if __name__ == "__main__":
    main()
