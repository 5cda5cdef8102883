"""How much memory does `lottery_tickets.compute_fisher_importance` need beside the weights, and is it exact?

A GPT of random bf16 weights, a sequence at a time. Each case runs in a fresh process: peak memory there minus what
was there with the network built and everything loaded. The fp32 sums, which both contenders keep, are counted apart.
The plain loop takes all gradients of a sequence with `torch.autograd.grad`, then squares and adds them. Both are then
compared on a smaller network, in fp32 and bf16. Needs about 2 GB.

    python benchmarks/fisher.py
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from resident import RETURNED, Peak
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from lottery_tickets import compute_fisher_importance, prunable

GOAL_PEAK = 1.2
GOAL_ERROR = 1e-4
VOCABULARY = 8192
SAMPLES = 3
CLIP = 1.0


class Block(nn.Module):
    """A transformer block, normalised before each half."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*parts, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.down(functional.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    """A language model with tied embeddings, which takes and answers as Hugging Face's do."""

    def __init__(self, layers: int, width: int, length: int, *, recompute: bool = False) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(VOCABULARY, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Block(width, max(1, width // 64)) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, VOCABULARY, bias=False)
        self.head.weight = self.tokens.weight
        self.recompute = recompute
        nn.init.normal_(self.tokens.weight, std=0.02)

    def forward(self, input_ids: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        x = self.tokens(input_ids) + self.places.weight[: input_ids.shape[1]]
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.recompute else block(x)
        logits = self.head(self.norm(x))
        if labels is None:
            return {"logits": logits}
        loss = functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        return {"loss": loss}


Size = tuple[int, int, int]
"""Layers, width, tokens of a sequence."""


def build(size: Size, dtype: torch.dtype, device: str, *, recompute: bool = False) -> GPT:
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)  # at once in this dtype, so that no wider copy is ever there
    try:
        with torch.device(device):
            return GPT(*size, recompute=recompute).eval()
    finally:
        torch.set_default_dtype(before)


def sequences(size: Size, count: int, device: str) -> list[dict[str, Tensor]]:
    source = torch.Generator().manual_seed(0)
    drawn = torch.randint(0, VOCABULARY, (count, size[2]), generator=source).to(device)
    return [{"input_ids": ids, "labels": ids} for ids in drawn.split(2)]


def plain(model: GPT, data: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """A loop over samples that anybody would write, but for the fp32 sums, which it has right."""
    weights = prunable(model)
    sums = {n: torch.zeros_like(w, dtype=torch.float32, device="cpu") for n, w in weights.items()}
    count = 0
    for batch in data:
        for ids in batch["input_ids"]:
            loss = model(ids[None], ids[None])["loss"]
            gradients = torch.autograd.grad(loss, list(weights.values()))
            for name, gradient in zip(weights, gradients, strict=True):
                sums[name] += gradient.to("cpu").float() ** 2
            count += 1
    return {name: total / count for name, total in sums.items()}


def ours(model: GPT, data: list[dict[str, Tensor]], **options: Any) -> dict[str, Tensor]:
    return compute_fisher_importance(model, data, None, store="host", progress=False, **options)


Contender = Callable[[GPT, list[dict[str, Tensor]]], dict[str, Tensor]]
CASES: dict[str, tuple[Contender, bool]] = {
    "compute_fisher_importance": (ours, False),
    "the same, malloc as it is": (ours, False),
    "the same, gradient_clip": (lambda model, data: ours(model, data, gradient_clip=CLIP), False),
    "the same, activations recomputed": (ours, True),
    "plain loop": (plain, False),
}
"""Name -> what runs, and whether the network recomputes its activations."""


def measure(case: str, size: Size, device: str) -> dict[str, float]:
    """Bytes and seconds of one case, in this fresh process."""
    contender, recompute = CASES[case]
    small = 2, 64, 16
    contender(  # code, threads and libraries are there before it counts
        build(small, torch.bfloat16, device, recompute=recompute), sequences(small, 2, device)
    )
    model, data = (
        build(size, torch.bfloat16, device, recompute=recompute),
        sequences(size, SAMPLES, device),
    )
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    scored = sum(w.numel() for w in prunable(model).values())
    sums = 4 * scored if device == "cpu" else 0
    peak = Peak(device)
    begun = time.perf_counter()
    found = contender(model, data)
    seconds = time.perf_counter() - begun
    extra = peak.extra() - sums
    assert all(score.isfinite().all() for score in found.values())
    return {
        "weights": sum(p.numel() for p in model.parameters()),
        "scored": scored,
        "weight_bytes": weights,
        "sum_bytes": 4 * scored,
        "extra_bytes": extra,
        "peak_over_weights": (weights + extra) / weights,
        "seconds_a_sample": seconds / SAMPLES,
    }


def measure_apart(case: str, given: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, __file__, "--memory-of", case, *_options(given)]
    settings = dict(os.environ) | ({} if case.endswith("malloc as it is") else RETURNED)
    answer = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=settings
    ).stdout
    found: dict[str, float] = json.loads(answer.splitlines()[-1])
    return found


def _options(given: argparse.Namespace) -> list[str]:
    named = {"layers": given.layers, "width": given.width, "length": given.length}
    named |= {"threads": given.threads, "device": given.device}
    return [part for name, value in named.items() for part in (f"--{name}", str(value))]


def errors(device: str) -> Iterator[tuple[str, float]]:
    """The largest relative distance of a tensor's scores from the plain loop's."""
    size = 2, 128, 32
    for dtype in (torch.float32, torch.bfloat16):
        model, data = build(size, dtype, device), sequences(size, 6, device)
        wanted = plain(model, data)
        # vmap rounds otherwise in bf16, and is not chosen there.
        for vectorize in (False, True) if dtype == torch.float32 else (False,):
            found = ours(model, data, vectorize=vectorize)
            worst = max(
                float((score - wanted[name]).norm() / wanted[name].norm())
                for name, score in found.items()
            )
            yield f"{str(dtype).removeprefix('torch.')}, {'vmap' if vectorize else 'hooks'}", worst


def markdown(result: Mapping[str, Any]) -> str:
    machine, cases = result["environment"], result["cases"]
    first = next(iter(cases.values()))
    lines = [
        "# Fisher importance: memory",
        "",
        f"A GPT of {first['weights']:,.0f} bf16 weights ({first['weight_bytes'] / 1e6:.0f} MB), of which "
        f"{first['scored']:,.0f} are scored, one sequence of {result['length']} tokens at a time, on "
        f"{machine['device']}; "
        f"{machine['threads']} threads, torch {machine['torch']}, Python {machine['python']}. The fp32 sums "
        f"({first['sum_bytes'] / 1e6:.0f} MB, on the host) are not in the peak. On the CPU memory is "
        f"resident memory, with {'='.join(next(iter(RETURNED.items())))} so that what is freed counts no longer; "
        f"without it glibc keeps some.",
        "",
        f"    {result['command']}",
        "",
        "| | peak / weights | MB beside weights and sums | s a sample |",
        "|---|--:|--:|--:|",
    ]
    for name, case in cases.items():
        lines.append(
            f"| {name} | {case['peak_over_weights']:.3f} | {case['extra_bytes'] / 1e6:.0f} "
            f"| {case['seconds_a_sample']:.2f} |"
        )
    reached = cases["compute_fisher_importance"]["peak_over_weights"]
    lines += [
        "",
        f"Goal: at most {GOAL_PEAK}: {'reached' if reached <= GOAL_PEAK else 'missed'}.",
        "",
    ]
    lines += ["| against the plain loop | largest relative error of a tensor |", "|---|--:|"]
    lines += [f"| {name} | {error:.1e} |" for name, error in result["errors"].items()]
    exact = max(result["errors"].values()) <= GOAL_ERROR
    lines += ["", f"Goal: at most {GOAL_ERROR:.0e}: {'reached' if exact else 'missed'}."]
    return "\n".join(lines) + "\n"


def write(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.partial")
    aside.write_text(text)
    aside.replace(path)


def environment(given: argparse.Namespace) -> dict[str, Any]:
    if given.device == "cpu":
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
        device = next(names, "") or platform.machine()
    else:
        device = torch.cuda.get_device_name()
    return {
        "device": device,
        "cores": os.cpu_count(),
        "threads": given.threads,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--layers", type=int, default=8, help="blocks (default: 8)")
    parser.add_argument("--width", type=int, default=1024, help="(default: 1024)")
    parser.add_argument("--length", type=int, default=64, help="tokens of a sequence (default: 64)")
    parser.add_argument("--threads", type=int, default=2, help="torch threads (default: 2)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    parser.add_argument("--quick", action="store_true", help="a small network, to try the script")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).parent / "results" / "fisher",
        help="results go to OUTPUT.json and OUTPUT.md (default: %(default)s)",
    )
    parser.add_argument("--memory-of", choices=CASES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.quick:
        given.layers, given.width, given.length = 2, 128, 16
    return given


def main() -> None:
    given = arguments()
    torch.set_num_threads(given.threads)
    if given.memory_of:
        size = given.layers, given.width, given.length
        print(json.dumps(measure(given.memory_of, size, given.device)))
        return
    machine = environment(given)
    cases = {}
    for case in CASES:
        cases[case] = measure_apart(case, given)
        print(f"{case}: {cases[case]['peak_over_weights']:.3f}", flush=True)
    result = {
        "command": "python benchmarks/fisher.py " + " ".join(_options(given)),
        "length": given.length,
        "environment": machine,
        "cases": cases,
        "errors": dict(errors(given.device)),
    }
    write(given.output.with_suffix(".json"), json.dumps(result, indent=2) + "\n")
    write(given.output.with_suffix(".md"), markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    main()
