"""Scores as integers that keep their order, counted piece by piece to find where the k-th highest lies.

The bit pattern of a non-negative float, read as an integer, grows with its value. So the k-th highest score is
found by counting: one pass over the high 16 bits of all scores, then one over the low 16 bits of those that share
the high bits of the threshold (16-bit floats need only one pass in all).
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import TypeVar

import torch
from torch import Tensor

from lottery_tickets import masks
from lottery_tickets.modules import pieces

PIECE = 1 << 19
"""Scores looked at at once: small enough for the cache, large enough that a call's overhead does not count."""

WORKERS = 8
"""Threads at most, each with a piece of its own (about 6 MB of buffers)."""

_T = TypeVar("_T")
_DIGIT = 1 << 16
_INTEGER = {torch.float32: torch.int32, torch.bfloat16: torch.int16, torch.float16: torch.int16}


@dataclass(frozen=True)
class Cut:
    """Kept is every key above `key`, and the first `ties` of those equal to it, but not the last `surplus`."""

    key: int
    ties: int
    surplus: int


@dataclass(frozen=True)
class Piece:
    """Some of a tensor's scores, from flat index `start`; its keys last until the next piece is asked for."""

    name: str
    start: int
    keys: Tensor
    """int32 or int16, ordered as the scores are; 0, the key of score zero, where the weight is pruned."""
    spare: Tensor
    """Room for as many such numbers, for whoever has the piece."""
    alive: Tensor | None
    """bool, None: all are."""


class Ranking:
    """Scores as integer keys: equal where the scores are equal, larger where they are larger."""

    def __init__(
        self,
        scores: Mapping[str, Tensor],
        among: Mapping[str, Tensor] | None,
        absolute: bool,
        finite: bool = False,
    ) -> None:
        for name, score in scores.items():
            if score.dtype not in _INTEGER:
                raise ValueError(
                    f"scores of {name!r} are {score.dtype}: give float32, bfloat16 or float16"
                )
        if among is not None:
            masks.check_fit(among, scores)
        dtypes = {score.dtype for score in scores.values()}
        self.scores = {name: score.detach() for name, score in scores.items()}
        self.survivors = None if among is None else {n: m.reshape(-1) for n, m in among.items()}
        self.lock = Lock()
        self.absolute = absolute
        self.finite = finite
        self.dtype = dtypes.pop() if len(dtypes) == 1 else torch.float32
        self.integer = _INTEGER[self.dtype]
        self.largest = torch.iinfo(self.integer).max
        self.infinity = int(
            torch.tensor(torch.inf, dtype=self.dtype, device="cpu").view(self.integer)
        )
        self.total = sum(score.numel() for score in scores.values())
        self.pruned = 0
        if among is not None:
            self.pruned = sum(total - kept for kept, total in masks.counts(among).values())

    def cut(self, keep: int) -> Cut:
        """Where the keys must be cut so that exactly `keep` remain."""
        survivors = self.total - self.pruned
        if not 0 <= keep <= survivors:
            raise ValueError(
                f"keep is {keep}: use 0 to {survivors}, the number of surviving weights"
            )
        lowest = 0 if self.absolute else -self.largest - 1
        shift = 16 if self.integer == torch.int32 else 0
        first = lowest >> shift
        counts = self.histogram(shift, first, self.largest >> shift)
        self.refuse_broken(counts, shift, first)
        if keep == 0:
            return Cut(self.largest, 0, 0)
        digit, above = _from_top(counts, keep)
        key = (first + digit) << shift
        if shift:
            # What lies outside of this bin is counted at its edges, which costs less than leaving it out.
            counts = self.histogram(0, key - 1, key + _DIGIT, clamp=True)[1:-1]
            digit, further = _from_top(counts, keep - above)
            key, above = key + digit, above + further
        ties = keep - above
        return Cut(key, ties, surplus=int(counts[digit]) - ties)

    def value(self, key: int) -> float:
        """The score that has this key."""
        bits = torch.tensor(abs(key), dtype=self.integer, device="cpu")
        return float(bits.view(self.dtype)) * (-1.0 if key < 0 else 1.0)

    def share(self, work: Callable[[Iterator[Piece]], _T], *, workers: int = WORKERS) -> list[_T]:
        """Give every piece to one of at most `workers`; returns what each of them made of its pieces.

        One worker gets all pieces in parameter order and flat index order.

        The workers are threads that use no further threads. Left to torch, every operation on a piece would be
        split and joined, and on a busy machine wait each time for a thread that is not running.
        """
        source = self._pieces()
        threads = torch.get_num_threads()
        on_cpu = all(score.device.type == "cpu" for score in self.scores.values())
        workers = min(threads if on_cpu else 1, workers, 1 + self.total // PIECE)

        def run(_: int) -> _T:
            torch.set_num_threads(1)
            return work(self._keyed(source))

        try:
            if workers == 1:
                return [run(0)]
            with ThreadPoolExecutor(workers) as pool:
                return list(pool.map(run, range(workers)))
        finally:
            torch.set_num_threads(threads)

    def _pieces(self) -> Iterator[tuple[str, int, Tensor]]:
        for name, score in self.scores.items():
            start = 0
            for piece in pieces(score, PIECE):
                yield name, start, piece
                start += len(piece)

    def _keyed(self, source: Iterator[tuple[str, int, Tensor]]) -> Iterator[Piece]:
        size = min(PIECE, max((score.numel() for score in self.scores.values()), default=0))
        buffers: dict[torch.device, Tensor] = {}
        while True:
            with self.lock:
                taken = next(source, None)
            if taken is None:
                return
            name, start, piece = taken
            if piece.device not in buffers:
                buffers[piece.device] = torch.empty(
                    (2, size), dtype=self.integer, device=piece.device
                )
            keys, spare = buffers[piece.device][:, : len(piece)]
            self._write_keys(piece, keys, spare)
            alive = None
            if self.survivors is not None:
                alive = self.survivors[name][start : start + len(piece)].to(piece.device)
                keys.mul_(alive)
            yield Piece(name, start, keys, spare, alive)

    def _write_keys(self, piece: Tensor, keys: Tensor, spare: Tensor) -> None:
        if piece.dtype == self.dtype:
            bits = piece.view(self.integer)
        else:
            bits = keys
            keys.view(self.dtype).copy_(piece)
        if self.absolute:
            torch.bitwise_and(bits, self.largest, out=keys)
            return
        # Sign and magnitude become two's complement: where sign is -1, (m ^ sign) - sign is -m.
        sign = torch.bitwise_right_shift(
            keys.copy_(bits), torch.iinfo(keys.dtype).bits - 1, out=spare
        )
        keys.bitwise_and_(self.largest).bitwise_xor_(sign).sub_(sign)

    def histogram(self, shift: int, low: int, high: int, *, clamp: bool = False) -> Tensor:
        """How many survivors have `key >> shift` equal to low, low + 1, ..., high."""
        bins = high - low + 1

        def count(stream: Iterator[Piece]) -> Tensor:
            total = torch.zeros(bins, dtype=torch.int64, device="cpu")
            for piece in stream:
                digits = piece.keys.bitwise_right_shift_(shift) if shift else piece.keys
                if clamp:
                    digits.clamp_(low, high)
                if low:
                    # From 0 up these no longer fit into 16 bits.
                    digits = digits.to(torch.int32).sub_(low)
                counts = torch.bincount(digits, minlength=bins)
                total = total.to(counts.device).add_(counts)
            return total.cpu()

        total = torch.stack(self.share(count)).sum(0)
        total[min(max(0, low), high) - low] -= self.pruned
        return total

    def refuse_broken(self, counts: Tensor, shift: int, first: int) -> None:
        """Look for NaN (and infinity, if all must be finite), but only if a digit is counted that infinity and NaN,
        which lies beyond it, may share."""
        infinite = self.infinity >> shift
        if not torch.cat(
            (counts[: max(0, 1 - infinite - first)], counts[infinite - first :])
        ).any():
            return

        def look(stream: Iterator[Piece]) -> None:
            for piece in stream:
                odd = piece.keys.abs() >= self.infinity + (not self.finite)
                if odd.any():
                    first_odd = int(odd.nonzero()[0])
                    nan = abs(int(piece.keys[first_odd])) > self.infinity
                    what, remedy = (
                        "the score of",
                        f"scores must be {'finite ' * self.finite}numbers",
                    )
                    if self.absolute:
                        what, remedy = "the weight", "go back to weights that are finite numbers"
                    raise ValueError(
                        f"{what} {piece.name!r} at flat index {piece.start + first_odd} is "
                        f"{'NaN' if nan else 'infinite'}: {remedy}"
                    )

        self.share(look, workers=1)


def _from_top(counts: Tensor, rank: int) -> tuple[int, int]:
    """The bin of the `rank`-th element, counted from the last bin down, and how many lie above that bin."""
    from_top = counts.flip(0).cumsum(0)
    place = int(torch.searchsorted(from_top, rank))
    bin_ = len(counts) - 1 - place
    return bin_, int(from_top[place] - counts[bin_])
