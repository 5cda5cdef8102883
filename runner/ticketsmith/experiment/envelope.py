"""How a RoundSpec travels to a process: in its environment, whatever its size.

Linux gives one variable 128 KiB. The report of some 1,300 rounds no longer fits as it is; it then travels compressed
and in pieces: `TICKETSMITH_ROUND` says how many, `TICKETSMITH_ROUND_1` and so on hold them.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Mapping
from typing import Final

from ticketsmith.experiment.contract import (
    ROUND_VARIABLE,
    BenchmarkRound,
    ReportRound,
    TrainRound,
)

PIECE: Final = 120_000
"""Bytes of one variable's value at most: MAX_ARG_STRLEN is 131,072, with the name and the final zero."""
_PACKED: Final = re.compile(r"zlib:([1-9][0-9]{0,3})")


def pack(told: TrainRound | BenchmarkRound | ReportRound) -> dict[str, str]:
    """The environment variables that tell a process its round: plain JSON if that fits, else compressed pieces.

    No value holds a dollar sign: Kubernetes would expand $(NAME) in it.
    """
    text = told.model_dump_json().replace("$", r"\u0024")
    raw = text.encode()
    if len(raw) <= PIECE:
        return {ROUND_VARIABLE: text}
    packed = base64.b64encode(zlib.compress(raw, 9)).decode()
    pieces = [packed[i : i + PIECE] for i in range(0, len(packed), PIECE)]
    head = {ROUND_VARIABLE: f"zlib:{len(pieces)}"}
    return head | {f"{ROUND_VARIABLE}_{i}": piece for i, piece in enumerate(pieces, start=1)}


def unpack(environment: Mapping[str, str]) -> str | None:
    """The RoundSpec's JSON; None if no round is told. ValueError if a piece is missing or damaged."""
    text = environment.get(ROUND_VARIABLE)
    packed = _PACKED.fullmatch(text or "")
    if packed is None:
        return text or None
    names = [f"{ROUND_VARIABLE}_{i}" for i in range(1, int(packed[1]) + 1)]
    missing = [name for name in names if name not in environment]
    if missing:
        raise ValueError(f"{missing[0]} is missing of {len(names)} pieces")
    try:
        raw = base64.b64decode("".join(environment[name] for name in names), validate=True)
        return zlib.decompress(raw).decode()
    except (binascii.Error, zlib.error, UnicodeDecodeError) as error:
        raise ValueError(f"its {len(names)} pieces do not fit together ({error})") from error
