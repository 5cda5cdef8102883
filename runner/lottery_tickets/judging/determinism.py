"""Make repeated runs equal, as far as torch can, and undo it again."""

import os
import random
import sys
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import torch

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
_WORKSPACES = (":4096:8", ":16:8")


def gpu_in_use() -> bool:
    """Whether this process has begun to use CUDA; asking does not begin it."""
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


@dataclass
class Determinism:
    """What `ensure_deterministic_pruning` set. As a context manager, or by `undo`, everything becomes as it was."""

    seed: int
    seeded: tuple[str, ...]
    """The sources of random numbers that were seeded."""
    settings: dict[str, Any]
    """Every setting that holds now, by the name under which torch or the environment know it."""
    cautions: tuple[str, ...]
    """What stands in the way, a sentence each; empty if nothing is known to."""
    _before: dict[str, Any] | None = field(repr=False, default=None)

    def undo(self) -> None:
        """Bring back settings, environment and the states of all random numbers; again does nothing."""
        before, self._before = self._before, None
        if before is None:
            return
        torch.use_deterministic_algorithms(before["algorithms"], warn_only=before["warn_only"])
        torch.backends.cudnn.deterministic = before["cudnn.deterministic"]
        torch.backends.cudnn.benchmark = before["cudnn.benchmark"]
        if before["workspace"] is None:
            os.environ.pop(WORKSPACE, None)
        else:
            os.environ[WORKSPACE] = before["workspace"]
        random.setstate(before["python"])
        torch.set_rng_state(before["torch"])
        if before["cuda"] is not None:
            torch.cuda.set_rng_state_all(before["cuda"])
        if before["numpy"] is not None:
            sys.modules["numpy"].random.set_state(before["numpy"])

    def __enter__(self) -> "Determinism":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.undo()


def ensure_deterministic_pruning(seed: int = 0, *, warn_only: bool = False) -> Determinism:
    """Seed every source of random numbers and hold torch to deterministic algorithms, from now on.

    It takes effect at the call. `with ensure_deterministic_pruning(0): ...` undoes it at the end.

    What is set: Python's `random`, numpy's global generator if numpy is imported, torch on the CPU and on every GPU;
    `torch.use_deterministic_algorithms(True)`, so that an operation without a deterministic form raises an error;
    cuDNN deterministic and without benchmarking; CUBLAS_WORKSPACE_CONFIG=:4096:8 unless it is set to a value that
    serves.

    What it cannot promise: equal results on another device, GPU model, number of threads, or version of torch, CUDA
    or cuDNN; anything for operations that torch does not know to be nondeterministic, such as kernels of extensions;
    an order of sets of strings (PYTHONHASHSEED counts at the start of Python only); generators that the caller made;
    workers of a DataLoader that was begun before. cuBLAS reads its setting at its first use: if the GPU has been used
    in this process, a caution says so. Selection and masks of this library need none of this: they are exact, and
    ties go by order. Random scores and controls depend on the generator that is passed in.

    Args:
        seed: From 0 up to 2^64 - 1; numpy, which takes 32 bits, gets seed modulo 2^32.
        warn_only: Warn of an operation without a deterministic form instead of raising an error.

    Returns:
        What was set, with `undo`.

    Raises:
        ValueError: The seed is out of range or no whole number.
    """
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 1 << 64:
        raise ValueError(f"seed is {seed!r}: use a whole number from 0 to 2^64 - 1")
    numpy = sys.modules.get("numpy")
    used = gpu_in_use()
    workspace = os.environ.get(WORKSPACE)
    before = {
        "algorithms": torch.are_deterministic_algorithms_enabled(),
        "warn_only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "cudnn.deterministic": torch.backends.cudnn.deterministic,
        "cudnn.benchmark": torch.backends.cudnn.benchmark,
        "workspace": workspace,
        "python": random.getstate(),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if used else None,
        "numpy": numpy.random.get_state() if numpy else None,
    }
    random.seed(seed)
    torch.manual_seed(seed)
    if numpy:
        numpy.random.seed(seed % (1 << 32))
    torch.use_deterministic_algorithms(True, warn_only=warn_only)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    cautions = []
    if workspace not in _WORKSPACES:
        os.environ[WORKSPACE] = _WORKSPACES[0]
        if used:
            cautions.append(
                f"the GPU was used before {WORKSPACE} was set: matrix products there may differ from run to run; call "
                "this first, or set the variable before Python starts"
            )
    if not numpy:
        cautions.append("numpy is not imported and was not seeded: call this after importing it")
    return Determinism(
        seed=seed,
        seeded=("python", *(("numpy",) if numpy else ()), "torch"),
        settings={
            "torch.use_deterministic_algorithms": True,
            "warn_only": warn_only,
            "torch.backends.cudnn.deterministic": True,
            "torch.backends.cudnn.benchmark": False,
            WORKSPACE: os.environ[WORKSPACE],
        },
        cautions=tuple(cautions),
        _before=before,
    )
