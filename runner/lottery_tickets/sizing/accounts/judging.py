"""Judges that change the weights for a while."""

from lottery_tickets.judging.landscape import PIECE as DRAWN
from lottery_tickets.judging.temporarily import PIECE
from lottery_tickets.sizing.case import Case
from lottery_tickets.sizing.ledger import Where
from lottery_tickets.sizing.network import Size


def robustness(case: Case) -> None:
    """`compute_pruning_robustness` up to the sparsity of the settings, without the masks of all levels."""
    book, net = case.book, case.net
    aside: Where = "host" if case.settings.offload else "device"
    with book.held("weights", net.buffer_bytes):
        case.forward()
        case.select(net.scored, signed=False)
        case.select(net.scored, signed=False)
        book.drop("masks", net.count)  # the level before
        with book.held("weights", round(case.settings.sparsity * net.scored_bytes), aside):
            # Places and values of a piece's pruned weights, before they are kept.
            piece = min(PIECE, net.largest)
            book.touch("buffers", (1 + 8 + 4) * piece)
            case.forward()
        book.drop("masks", net.count)


def landscape(case: Case) -> None:
    """`compute_loss_landscape`: a copy of the weights that move, and pieces of directions. The number of grid points
    costs time, no memory."""
    book, settings = case.book, case.settings
    moved = [one for one in case.net.parameters if one.dims > 1]
    aside: Where = "host" if settings.offload else "device"
    copies = sum(one.bytes for one in moved)
    stored = 4 * settings.dimensions * sum(one.numel for one in moved)
    with (
        book.held("weights", case.net.buffer_bytes),
        book.held("weights", copies, aside),
    ):
        kept = stored if settings.store_directions else 0
        with book.held("buffers", kept):
            piece = max(_rows(one) for one in moved)
            narrow = any(one.itemsize < 4 for one in moved)
            pieces = max(1 + narrow, 1 + (0 if kept else settings.dimensions)) * 4 * piece
            book.touch("buffers", 4 * piece if case.cuda else 0, "host")
            book.touch("buffers", pieces)
            case.forward()


def _rows(one: Size) -> int:
    """Weights of the filters that are moved together."""
    outputs = one.numel // max(1, one.features)
    return min(outputs, max(1, DRAWN * outputs // max(1, one.numel))) * one.features
