"""LAMP: how many weights each layer keeps, so that the network's output is least distorted.

Lee, Park, Mo, Ahn & Shin 2021, "Layer-adaptive sparsity for the magnitude-based pruning" (2010.07611), section 2.
With a layer's weights from the largest down, a_1 >= a_2 >= ..., the score of a_i is a_i^2 / (a_1^2 + ... + a_i^2).
The network keeps its highest scores. Within a layer they fall with the weight, so all they decide is how many each
layer keeps: no score is ever stored.

The weights are counted by their bit patterns (see `ranking`). 16-bit weights have few different magnitudes, and one
pass finds them all. Of fp32 weights the first pass counts the high 16 bits, which tells where the cut may lie; a
second looks only there. So memory grows with the different magnitudes near the cut, not with the network. Sums of
squares come from integer sums, which do not depend on their order: the same weights give the same counts on every
device and with any number of threads.
"""

import math
import struct
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lottery_tickets import masks
from lottery_tickets.ranking import Piece, Ranking

_HIGH = 1 << 15
"""Different high 16 bits of a non-negative fp32 number."""
_LOW = 1 << 16
_FEW = 16
"""Ranges of high bits that a tensor is looked into at once without a second thought (half a MB each)."""
_SLACK = 1e-12
"""More than rounding can move a score."""


def lamp_counts(
    weights: Mapping[str, Tensor], keep: int, *, among: Mapping[str, Tensor] | None = None
) -> dict[str, int]:
    """How many weights of each tensor are among the `keep` highest LAMP scores of all.

    Keeping that many of the largest magnitudes in each tensor is LAMP pruning. Equal scores of different tensors
    (the largest weight of every tensor scores 1) go to the earlier one; zeros score 0 and go last.

    Args:
        weights: Parameter name -> weights of any shape, fp32, bf16 or fp16 (also mixed).
        keep: 0 to the number of survivors.
        among: Survivors, a bool tensor for each of `weights`; the others have no part in any sum. None: all.

    Returns:
        Name -> count; they add up to `keep`.

    Raises:
        ValueError: `keep` is out of range, a surviving weight is NaN or infinite (tensor and flat index are named),
            or `among` does not fit.
    """
    if among is not None:
        masks.check_fit(among, weights)
    rankings = {
        name: Ranking({name: w}, None if among is None else {name: among[name]}, True, True)
        for name, w in weights.items()
    }
    left = {name: ranking.total - ranking.pruned for name, ranking in rankings.items()}
    if not 0 <= keep <= sum(left.values()):
        raise ValueError(
            f"keep is {keep}: use 0 to {sum(left.values())}, the number of surviving weights"
        )
    tables = {name: _first_table(ranking) for name, ranking in rankings.items()}
    kept = {name: table.total for name, table in tables.items()}
    most = left
    if keep < sum(kept.values()):
        exact = _refined(tables, rankings, keep)
        cut = _highest(lambda score: sum(one.bounds(score)[0] for one in exact.values()) >= keep)
        kept = {name: one.bounds(math.nextafter(cut, 2))[0] for name, one in exact.items()}
        most = {name: one.bounds(cut)[0] for name, one in exact.items()}
    # Those that score exactly what the last kept one does, or 0, in parameter order.
    rest = keep - sum(kept.values())
    for name in kept:
        more = min(rest, most[name] - kept[name])
        kept[name] += more
        rest -= more
    return kept


@dataclass(frozen=True)
class _Table:
    """Groups of a tensor's weights, from the largest down, and the scores of the first and last of each."""

    exact: bool
    """Whether all of a group have the same magnitude."""
    keys: Tensor
    """int64: the magnitude's bits (the high ones, if not exact)."""
    squares: "array[float]"
    """The square of the largest of each group."""
    before: "array[float]"
    """The sum of squares of all weights above each group."""
    ahead: "array[int]"
    """How many weights lie above each group; one more entry for the end."""
    first: "array[float]"
    """The score of each group's first weight, at most, with its sign changed (so that it grows)."""
    last: "array[float]"
    """The score of each group's last weight, at least, with its sign changed."""

    @classmethod
    def of(
        cls,
        keys: Tensor,
        counts: Tensor,
        squares: tuple[Tensor, Tensor],
        sums: Tensor,
        above: tuple[int, float] = (0, 0.0),
    ) -> "_Table":
        """From tensors in rising order of magnitude: keys, counts, the squares of the lowest and the highest of
        each group, and the sum of its squares; and what lies above them all."""
        there = counts.nonzero().squeeze(1).flip(0)
        keys, counts, sums = keys[there], counts[there], sums[there]
        low, high = squares[0][there], squares[1][there]
        through = sums.cumsum(0) + above[1]
        before = torch.cat(
            (torch.tensor([above[1]], dtype=torch.float64, device="cpu"), through[:-1])
        )
        ahead = torch.cat((torch.tensor([0], device="cpu"), counts.cumsum(0))) + above[0]
        exact = squares[0] is squares[1]
        slack = 0.0 if exact else _SLACK
        return cls(
            exact,
            keys,
            array("d", high.tolist()),
            array("d", before[: len(there)].tolist()),
            array("q", ahead.tolist()),
            array("d", (-(1 + slack) * high / (before[: len(there)] + high)).tolist()),
            array("d", (-(1 - slack) * low / through).tolist()),
        )

    @property
    def total(self) -> int:
        """How many weights there are, without zeros."""
        return self.ahead[-1]

    def bounds(self, score: float) -> tuple[int, int]:
        """How many weights score at least this much: surely, and perhaps."""
        whole = bisect_right(self.last, -score)
        if not self.exact:
            return self.ahead[whole], self.ahead[bisect_right(self.first, -score)]
        count = self.ahead[whole]
        if whole < len(self.squares):
            # The j-th of the group has score square / (before + j square).
            square = self.squares[whole]
            part = math.floor((square / score - self.before[whole]) / square)
            count += min(max(part, 0), self.ahead[whole + 1] - count - 1)
        return count, count

    def doubtful(self, low: float, high: float) -> tuple[int, int]:
        """The groups, from the first up to before the second, that a cut from `low` to `high` may go through."""
        return bisect_right(self.last, -high), bisect_right(self.first, -low)

    def keys_between(self, begin: int, end: int) -> tuple[int, int]:
        """The lowest and the highest key of these groups, of which there is one at least."""
        return int(self.keys[end - 1]), int(self.keys[begin])


def _refined(
    tables: dict[str, _Table], rankings: Mapping[str, Ranking], keep: int
) -> dict[str, _Table]:
    """Exact tables of the weights near the cut, and of those above it how many they are.

    A tensor whose many weights are alike says little about the cut before one has looked into it, and would have
    the others searched far and wide. So those that are quickly looked into come first, and narrow the search.
    """
    tables = dict(tables)
    while coarse := [name for name, table in tables.items() if not table.exact]:
        low = _highest(lambda score: sum(t.bounds(score)[0] for t in tables.values()) >= keep)
        high = _highest(lambda score: sum(t.bounds(score)[1] for t in tables.values()) >= keep)
        doubts = {name: tables[name].doubtful(low, math.nextafter(high, 2)) for name in coarse}
        widths = {
            name: 1 - int.__sub__(*tables[name].keys_between(begin, end)) if begin < end else 0
            for name, (begin, end) in doubts.items()
        }
        for name in coarse:
            if widths[name] <= max(_FEW, min(widths.values())):
                tables[name] = _second_table(tables[name], rankings[name], *doubts[name])
    return tables


def _highest(enough: Callable[[float], bool]) -> float:
    """The highest positive number up to 1 for which there are still enough; the lowest, if for none."""
    low, high = 1, _bits(1.0)
    # Non-negative floats are in the order of their bits.
    while low < high:
        middle = (low + high + 1) // 2
        if enough(_float(middle)):
            low = middle
        else:
            high = middle - 1
    return _float(low)


def _bits(value: float) -> int:
    return int(struct.unpack("<q", struct.pack("<d", value))[0])


def _float(bits: int) -> float:
    return float(struct.unpack("<d", struct.pack("<q", bits))[0])


def _first_table(ranking: Ranking) -> _Table:
    """16-bit weights: each magnitude. fp32: groups that share the high bits."""
    if ranking.dtype == torch.float32:
        return _coarse_table(ranking)
    counts = ranking.histogram(0, 0, ranking.largest)
    ranking.refuse_broken(counts, 0, 0)
    counts[0] = 0
    keys = torch.arange(len(counts), device="cpu")
    values = keys.to(ranking.integer).view(ranking.dtype).to(torch.float64)
    # Beyond infinity lie NaN patterns, which nothing has.
    squares = torch.where(counts > 0, values * values, 0)
    return _Table.of(keys, counts, (squares, squares), squares * counts)


def _second_table(table: _Table, ranking: Ranking, begin: int, end: int) -> _Table:
    """Each magnitude of these groups of an fp32 table."""
    above = (table.ahead[begin], table.before[begin] if begin < len(table.before) else 0.0)
    if begin >= end:
        none = torch.zeros(0, dtype=torch.int64, device="cpu")
        return _Table.of(none, none, (none.double(),) * 2, none.double(), above)
    lowest, highest = table.keys_between(begin, end)
    start = lowest << 16
    counts = ranking.histogram(0, start - 1, (highest + 1) << 16, clamp=True)[1:-1]
    keys = counts.nonzero().squeeze(1)
    keys, counts = keys + start, counts[keys]
    if len(keys) and not int(keys[0]):
        keys, counts = keys[1:], counts[1:]
    squares = _squares(keys)
    return _Table.of(keys, counts, (squares, squares), squares * counts, above)


def _coarse_table(ranking: Ranking) -> _Table:
    def add_up(stream: Iterator[Piece]) -> Tensor:
        """Per high bits: how many, the sum of the low bits, the sum of their squares; and all zeros."""
        sums = torch.zeros((3, _HIGH + 1), dtype=torch.int64, device="cpu")
        for piece in stream:
            keys = piece.keys.cpu()
            high, low = keys >> 16, (keys & (_LOW - 1)).to(torch.float64)
            sums[0, :-1] += torch.bincount(high, minlength=_HIGH)
            # Whole numbers below 2^53 each: exact as fp64.
            sums[1, :-1] += torch.bincount(high, low, _HIGH).to(torch.int64)
            sums[2, :-1] += torch.bincount(high, low.mul_(low), _HIGH).to(torch.int64)
            sums[0, -1] += len(keys) - torch.count_nonzero(keys)
        return sums

    sums = torch.stack(ranking.share(add_up)).sum(0)
    counts, low, low_squares = sums[:, :-1]
    ranking.refuse_broken(counts, 16, 0)
    counts[0] -= sums[0, -1]  # pruned weights stand among them
    high = torch.arange(_HIGH, device="cpu")
    starts = high << 16
    mantissa = _mantissa(starts)
    total = counts.double() * mantissa * mantissa + 2.0 * mantissa * low + low_squares
    unit = _units(starts)
    lowest = _squares(torch.where(high == 0, 1, starts))
    return _Table.of(high, counts, (lowest, _squares(starts + _LOW - 1)), total * unit)


def _squares(keys: Tensor) -> Tensor:
    """fp64: the square of the fp32 number that has these bits, exactly."""
    mantissa = _mantissa(keys)
    return mantissa * mantissa * _units(keys)


def _mantissa(keys: Tensor) -> Tensor:
    """fp64: the number in units of its last place."""
    normal = (keys >> 23) > 0
    return ((keys & 0x7FFFFF) + (normal << 23)).double()


def _units(keys: Tensor) -> Tensor:
    """fp64: the square of the worth of the last place."""
    return _UNITS[keys >> 23]


_UNITS = torch.tensor(
    [4.0 ** (max(e, 1) - 150) for e in range(256)], dtype=torch.float64, device="cpu"
)
