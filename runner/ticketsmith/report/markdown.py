"""The report as a short Markdown file, for a pull request or a mail."""

from collections.abc import Sequence

from ticketsmith.report.pictures import Picture
from ticketsmith.report.tables import Table
from ticketsmith.report.view import View


def markdown(
    views: Sequence[View], heading: str, overview: Table | None, together: Sequence[Picture]
) -> str:
    """The executive summary; pictures are named as files beside it."""
    parts = [f"# {heading}"]
    if overview:
        parts += [_table(overview), *(_picture(one) for one in together)]
    for view in views:
        if overview:
            parts.append(f"## {_escaped(view.label)}")
        parts += [
            f"**{_escaped(view.verdict.sentence)}**",
            f"{_escaped(view.subtitle)}, {view.finished}.",
        ]
        parts += [f"> **Note:** {_escaped(sentence)}" for sentence in view.warnings]
        parts.append(_table(view.key_results))
        plot = view.picture("report_plot")
        if plot:
            parts.append(_picture(plot))
        if view.reading:
            parts.append("\n".join(f"- {_escaped(sentence)}" for sentence in view.reading))
        parts.append(_table(view.spending))
        parts += [_escaped(paragraph) for paragraph in view.method]
    parts.append(
        "The whole report, with every level and how to repeat it, is in [report.html](report.html)."
    )
    return "\n\n".join(parts) + "\n"


def _table(table: Table) -> str:
    ruler = [":--" if column in table.words else "--:" for column in range(len(table.head))]
    lines = [_line([_escaped(name) for name in table.head]), _line(ruler)]
    for number, row in enumerate(table.rows):
        cells = [_escaped(cell) for cell in row]
        lines.append(_line([f"**{cell}**" for cell in cells] if number in table.strong else cells))
    return "\n".join(lines) + (f"\n\n{table.note}" if table.note else "")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _picture(one: Picture) -> str:
    return f"![{_escaped(one.title)}]({one.name}.png)"


def _escaped(text: str) -> str:
    for character in "\\`*_|<>#":
        text = text.replace(character, f"\\{character}")
    return text.replace("\n", "<br>")
