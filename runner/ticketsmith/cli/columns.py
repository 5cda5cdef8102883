"""Rows of text as columns that line up, however narrow the screen is: for eyes, and for grep and awk."""

from collections.abc import Sequence

GAP = "   "


def columns(
    head: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()
) -> list[str]:
    """Lines of a table; those in `right` are figures, flush right."""
    table = [head, *rows]
    widths = [max(len(row[n]) for row in table) for n in range(len(head))]
    return [_line(row, widths, right).rstrip() for row in table]


def _line(row: Sequence[str], widths: Sequence[int], right: frozenset[int]) -> str:
    cells = (
        cell.rjust(width) if n in right else cell.ljust(width)
        for n, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return GAP.join(cells)
