"""SynFlow, in fp64."""

from lottery_tickets.sizing.case import Case


def synflow(case: Case) -> None:
    """`synflow`: absolute weights, masked weights and their gradients, 8 bytes a weight each, beside the scores."""
    book, count, wide = case.book, case.net.count, 8 * case.net.floating
    book.take("masks", count)
    book.take("scores", 4 * count)
    with book.held("weights", case.net.buffer_bytes), book.held("weights", wide):
        # From the second round on, the flow of the round before is still there.
        before = 4 * count if case.settings.rounds > 1 else 0
        with book.held("scores", before), book.held("weights", 8 * count):
            gradients = case.flow()
            book.take("scores", 4 * count)
            book.drop("gradients", gradients)
        if case.settings.rounds > 1:
            case.select(case.net.scored, 4, signed=True)
            book.drop("masks", count)
        book.drop("scores", 4 * count)
    book.drop("masks", count)
