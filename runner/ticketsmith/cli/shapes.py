"""What -o and --sort of the commands that look back take; apart from their work, so that --help answers at once."""

from enum import StrEnum


class Shape(StrEnum):
    """Forms of a comparison."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class ListShape(StrEnum):
    """Forms of a list."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"


class Order(StrEnum):
    """Each begins with what is asked for most: the newest, the sparsest, the cheapest."""

    AGE = "age"
    NAME = "name"
    WHERE = "where"
    PHASE = "phase"
    PROGRESS = "progress"
    SPARSITY = "sparsity"
    QUALITY = "quality"
    DROP = "drop"
    SPEEDUP = "speedup"
    COST = "cost"
