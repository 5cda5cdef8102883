"""Scores from gradients, of which one weight's at a time is there."""

from lottery_tickets.scores.backward import PIECE
from lottery_tickets.scores.vectorised import ROOM, WORTH
from lottery_tickets.sizing.case import Case
from lottery_tickets.sizing.passes import Room


def gradient(case: Case) -> None:
    _mean_gradient(case, training=False)


def snip(case: Case) -> None:
    _mean_gradient(case, training=True)
    # Its sum in fp64 takes a wide copy of each tensor.
    case.book.touch("buffers", 8 * case.net.largest)


def taylor(case: Case) -> None:
    _sums(case, Room(narrow=8 if case.cuda else 12, wide=4, piece=PIECE), training=False)


def fisher(case: Case) -> None:
    """`compute_fisher_importance`: a sample at a time, or several by vmap where the network is small."""
    narrow = 4 if case.settings.use_mixed_precision else 0
    away = case.settings.store == "host" and case.cuda
    piece = min(PIECE, case.settings.chunk_size)
    room = Room(narrow=0 if away else narrow, piece=piece)
    itemsize = 4 if case.settings.use_mixed_precision else None
    with (
        case.book.held("weights", case.net.buffer_bytes),
        case.book.held(
            "buffers", (8 if itemsize else 4) * min(piece, case.net.largest) if away else 0, "host"
        ),
    ):
        case.book.take(
            "scores",
            4 * case.net.count if itemsize else case.net.scored_bytes,
            case.settings.store,
        )
        case.handed_on(room, training=False, samples=1)
        group = min(case.samples, _group(case))
        if group > 1:
            gradients = case.together(group)
            before = 0
            for one in case.net.scored:
                # Squares, those of the weight before being there until these are; then their sum.
                case.book.touch("buffers", group * 4 * (before + one.numel))
                case.book.touch("buffers", (group + 1) * 4 * one.numel)
                before = one.numel
            case.book.drop("gradients", gradients)


def grasp(case: Case) -> None:
    """`grasp`: the mean gradient, then products with the Hessian through the graph of the gradients."""
    _mean_gradient(case, training=True)
    case.book.take("scores", 4 * case.net.count)
    # The last product of the batch before is there until the next come.
    last = case.net.scored[-1].bytes
    with case.book.held("weights", case.net.buffer_bytes), case.book.held("gradients", last):
        kept = case.products()
        case.book.touch("buffers", _widened(case))
        case.book.drop("gradients", kept)
    # What it returns are the products; the gradient goes.
    case.book.drop("scores", 4 * case.net.count)


def _mean_gradient(case: Case, *, training: bool) -> None:
    _sums(case, Room(narrow=0 if case.cuda else 4, piece=PIECE), training=training)
    if training:
        case.book.touch("buffers", _widened(case))


def _sums(case: Case, room: Room, *, training: bool) -> None:
    with case.book.held("weights", case.net.buffer_bytes):
        case.book.take("scores", 4 * case.net.count)
        case.handed_on(room, training=training)


def _widened(case: Case) -> int:
    """On a CPU a 16-bit tensor is converted whole before it meets fp32 scores."""
    narrow = (4 * one.numel for one in case.net.scored if one.itemsize < 4)
    return 0 if case.cuda else max(narrow, default=0)


def _group(case: Case) -> int:
    """Samples whose gradients are taken together; see `vectorised.group_size`."""
    if any(one.itemsize < 4 for one in case.net.scored):
        return 0
    group = ROOM // max(1, case.net.scored_bytes)
    return group if group >= WORTH else 0
