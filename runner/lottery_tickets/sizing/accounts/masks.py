"""Masks and scores that need no data."""

from lottery_tickets.sizing.case import Case


def magnitude(case: Case) -> None:
    """`create_magnitude_mask` on a network that is not pruned yet: no copy of the weights, a byte for each."""
    case.select(case.net.scored, signed=False)


def random(case: Case) -> None:
    """`importance(model, "random")` with a generator on the host."""
    for one in case.net.scored:
        with case.book.held("buffers", 4 * one.numel if case.cuda else 0, "host"):
            case.book.take("scores", 4 * one.numel)


def magnitude_scores(case: Case) -> None:
    """`importance(model, "magnitude")`: the absolute values, in the weights' dtype."""
    case.book.take("scores", case.net.scored_bytes)
