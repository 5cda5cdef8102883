"""Ranks of several methods, mixed."""

from collections.abc import Callable, Mapping

from lottery_tickets.sizing.accounts.flows import synflow
from lottery_tickets.sizing.accounts.gradients import fisher, gradient, grasp, snip, taylor
from lottery_tickets.sizing.accounts.inputs import wanda
from lottery_tickets.sizing.accounts.masks import magnitude_scores, random
from lottery_tickets.sizing.case import Case
from lottery_tickets.spearman import PIECE

SINGLE: Mapping[str, Callable[[Case], None]] = {
    "magnitude": magnitude_scores,
    "random": random,
    "gradient": gradient,
    "snip": snip,
    "grasp": grasp,
    "synflow": synflow,
    "taylor": taylor,
    "fisher": fisher,
    "wanda": wanda,
}
"""Methods whose scores can be mixed: "magnitude" is a score here, and no mask."""


def hybrid(case: Case) -> None:
    """`compute_hybrid_importance`: a method's scores, their ranks, and the sum of those before."""
    book, count = case.book, case.net.count
    before = 0
    methods = [name for name, share in case.settings.weights.items() if share]
    for place, method in enumerate(methods):
        SINGLE[method](case)
        # The scores of the method before were there until these were whole.
        book.drop("scores", before)
        before = case.net.scored_bytes if method == "magnitude" else 4 * count
        narrow = method == "magnitude" and any(one.itemsize < 4 for one in case.net.scored)
        _ranks(case, narrow)
        if place > 1:
            # The last view of the ranks before goes only now.
            book.drop("scores", 4 * count)
    if len(methods) > 1:
        book.drop("scores", 4 * count)
    book.drop("scores", before)


def _ranks(case: Case, narrow: bool) -> None:
    """`ranks`; the ranks stay."""
    book, count = case.book, case.net.count
    with book.held("buffers", 4 * count if narrow else 0):  # widened, before they are joined
        book.take("scores", 4 * count)
    with book.held("buffers", (4 + 8) * count):  # in order, and that order
        book.touch("buffers", 8 * count)  # torch's room to sort in
        book.touch("buffers", 64 * min(count, PIECE))
