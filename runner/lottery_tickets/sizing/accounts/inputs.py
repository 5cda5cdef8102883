"""Scores from what goes into the layers: no gradients."""

from lottery_tickets.sizing.case import Case
from lottery_tickets.sizing.network import Size

_BLOCK = 128
"""Columns that SparseGPT chooses together, by default."""


def wanda(case: Case) -> None:
    with case.book.held("weights", case.net.buffer_bytes):
        case.inputs("wanda")
    for one in case.net.scored:
        # |w| in the weight's own dtype is the score itself, unless it must be widened.
        with case.book.held("buffers", one.bytes if one.itemsize < 4 else 0):
            case.book.take("scores", 4 * one.numel)


def sparsegpt(case: Case) -> None:
    """`sparsegpt`: layers in groups whose Hessians have room, solved one after another in fp32."""
    book = case.book
    sizes = {one.name: one for one in case.net.scored}
    with book.held("weights", case.net.buffer_bytes):
        order = case.inputs("sparsegpt")
    for group in _groups([sizes[name] for name in order], case.settings.hessian_bytes):
        for one in group:
            book.take("buffers", _hessian(one))
        with book.held("weights", case.net.buffer_bytes):
            case.inputs("sparsegpt")
        for one in group:
            book.take("weights", one.bytes)  # what it was before
            book.take("masks", one.numel)
            _solve(case, one)
            book.drop("buffers", _hessian(one))
    for one in case.net.scored:
        # The answer is copied, and what was before goes back.
        book.take("weights", one.bytes)
        book.drop("weights", one.bytes)
    # In the end there are mask and new weights, as many bytes as the old ones had.


def _solve(case: Case, one: Size) -> None:
    book, square = case.book, _hessian(one) // one.groups
    with book.held("buffers", 4 * one.numel):
        # Two more of the Hessian's size in factoring, then one of them in solving.
        book.touch("buffers", 2 * square)
        outputs = one.numel // one.groups // one.features
        block = Size("block", outputs * min(_BLOCK, one.features), 4, 1)
        with book.held("buffers", square + block.bytes):
            with book.held("buffers", 2 * block.bytes):
                case.select([block], signed=True)
                book.drop("masks", block.numel)
            # What the first block changes to its right.
            book.touch("buffers", 4 * outputs * max(0, one.features - _BLOCK))


def _groups(order: list[Size], room: int) -> list[list[Size]]:
    """As `sparsegpt` groups them."""
    groups: list[list[Size]] = []
    left = 0
    for one in order:
        if not groups or _hessian(one) > left:
            groups.append([])
            left = room
        groups[-1].append(one)
        left -= _hessian(one)
    return groups


def _hessian(one: Size) -> int:
    return 4 * one.groups * one.features**2
