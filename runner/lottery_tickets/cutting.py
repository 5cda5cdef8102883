"""Where scores must be cut so that exactly k of them remain.

Counting every key (`Ranking.histogram`) always finds it. Of keys of 16 bits there are so few different ones that many
scores have something quicker: a sample tells the handful of keys that the cut lies among, and of each of these it is
counted how many scores reach it, which a processor does many at a time. If these counts show that the sample misled,
every key is counted after all: the answer is exact whatever was drawn.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil, sqrt

import torch
from torch import Tensor

from lottery_tickets.ranking import DIGIT, Piece, Ranking

SAMPLED_FROM = 1 << 24
"""Scores from which on a sample saves time."""
SAMPLE = 1 << 22
"""Scores that are drawn, about, of very many; but no more than one in 16."""

FEW = 10
"""Keys that are counted one by one at most; of more, counting all is quicker."""

_RUN = 64
"""Scores that are drawn side by side: two lines of the cache. Long runs would all be of one output's weights."""
_ROW = 2048
"""16-bit numbers that are added up side by side."""


@dataclass(frozen=True)
class Cut:
    """Kept is every key above `key`, and the first `ties` of those equal to it, but not the last `surplus`."""

    key: int
    ties: int
    surplus: int


def find_cut(ranking: Ranking, keep: int) -> Cut:
    """Where the keys must be cut so that exactly `keep` remain.

    Raises:
        ValueError: `keep` is out of range, or see `Ranking.refuse_broken`.
    """
    if not 0 <= keep <= ranking.survivors:
        raise ValueError(
            f"keep is {keep}: use 0 to {ranking.survivors}, the number of surviving weights"
        )
    near = None
    if keep and ranking.integer == torch.int16 and ranking.total >= SAMPLED_FROM:
        near = _among_few(ranking, keep)
    return near or _among_all(ranking, keep)


def _among_all(ranking: Ranking, keep: int) -> Cut:
    shift = 16 if ranking.integer == torch.int32 else 0
    first = ranking.lowest >> shift
    counts = ranking.histogram(shift, first, ranking.largest >> shift)
    ranking.refuse_broken(counts, shift, first)
    if keep == 0:
        return Cut(ranking.largest, 0, 0)
    digit, above = _from_top(counts, keep)
    key = (first + digit) << shift
    if shift:
        # What lies outside of this bin is counted at its edges, which costs less than leaving it out.
        counts = ranking.histogram(0, key - 1, key + DIGIT, clamp=True)[1:-1]
        digit, further = _from_top(counts, keep - above)
        key, above = key + digit, above + further
    ties = keep - above
    return Cut(key, ties, surplus=int(counts[digit]) - ties)


def _among_few(ranking: Ranking, keep: int) -> Cut | None:
    """None: the sample names too many keys or the wrong ones, or there are NaN and the like to be told of."""
    likely = _likely(ranking, keep)
    if likely is None:
        return None
    broken = ranking.infinity + (not ranking.finite)
    fine = ranking.lowest if ranking.absolute else 1 - broken
    *reached, beyond, numbers = _reaching(ranking, [*likely, likely.stop, broken, fine])
    if beyond or numbers < ranking.survivors or not reached[-1] < keep <= reached[0]:
        return None
    place = max(place for place, count in enumerate(reached) if count >= keep)
    ties = keep - reached[place + 1]
    return Cut(likely[place], ties, surplus=reached[place] - reached[place + 1] - ties)


def _likely(ranking: Ranking, keep: int) -> range | None:
    """The keys that the cut is almost surely among; None: there are more than a few, or no cheap sample."""
    if not all(score.is_contiguous() for score in ranking.scores.values()):
        return None
    drawn = ranking.of(partial(_sample, one_in=max(16, ranking.total // SAMPLE)))
    counts = drawn.histogram(0, ranking.lowest, ranking.largest)
    share = keep / ranking.survivors
    # Six standard deviations, if the scores lay in no order. If they do, the worst is that all are counted.
    margin = 6 * sqrt(share * (1 - share) * drawn.survivors) + 1
    ranks = (ceil(share * drawn.survivors - margin), ceil(share * drawn.survivors + margin))
    if ranks[0] < 1 or ranks[1] > drawn.survivors:
        return None
    high, low = (ranking.lowest + _from_top(counts, rank)[0] for rank in ranks)
    few = high - low < FEW and high <= ranking.infinity
    return range(low, high + 1) if few else None


def _sample(tensor: Tensor, one_in: int) -> Tensor:
    flat = tensor.reshape(-1)
    runs = len(flat) // (one_in * _RUN)
    if runs < 16:
        return flat[::one_in]
    return flat[: runs * one_in * _RUN].view(runs, -1)[:, :_RUN]


def _reaching(ranking: Ranking, keys: Sequence[int]) -> list[int]:
    """How many survivors have at least this key, for each of `keys`."""

    def count(stream: Iterator[Piece]) -> list[int]:
        found = [0] * len(keys)
        for piece in stream:
            for place, key in enumerate(keys):
                if key == ranking.lowest:
                    found[place] += len(piece.keys)
                    continue
                # Compared into 16 bits: torch is slow to compare integers into a bool tensor.
                found[place] += _ones(torch.ge(piece.keys, key, out=piece.spare))
        return found

    counts = [sum(several) for several in zip(*ranking.share(count), strict=True)]
    return [n - ranking.pruned * (key <= 0) for n, key in zip(counts, keys, strict=True)]


def _ones(flags: Tensor) -> int:
    """How many of these 16-bit numbers, each 0 or 1, are 1: four are added at once, as one of 64 bits."""
    rows = len(flags) // _ROW
    whole = flags[: rows * _ROW].view(torch.int64).view(rows, _ROW // 4)
    return int(whole.sum(0).view(torch.int16).sum() + flags[rows * _ROW :].sum())


def _from_top(counts: Tensor, rank: int) -> tuple[int, int]:
    """The bin of the `rank`-th element, counted from the last bin down, and how many lie above that bin."""
    from_top = counts.flip(0).cumsum(0)
    place = int(torch.searchsorted(from_top, rank))
    bin_ = len(counts) - 1 - place
    return bin_, int(from_top[place] - counts[bin_])
