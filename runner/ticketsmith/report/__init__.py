"""Results turned into a report: one HTML page, a summary in Markdown, pictures and a PDF."""

from ticketsmith.report.write import write_report

__all__ = ["write_report"]
