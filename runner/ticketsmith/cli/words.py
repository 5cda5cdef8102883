"""How figures are written on the terminal, everywhere the same way."""

from datetime import timedelta


def percent(fraction: float) -> str:
    """0.4879 is 48.8%."""
    return f"{fraction:.1%}"


def duration(seconds: float) -> str:
    """0.42 s, 38 s, 2 min 05 s, 3 h 07 min, 2 d 04 h: never more than two units."""
    if seconds < 9.95:
        return f"{seconds:.2g} s" if seconds >= 0.095 else f"{seconds:.2f} s"
    whole = timedelta(seconds=round(seconds))
    hours, rest = divmod(whole.seconds, 3600)
    minutes, left = divmod(rest, 60)
    if whole.days:
        return f"{whole.days} d {hours:02d} h"
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {left:02d} s" if minutes else f"{left} s"


def size(count: float) -> str:
    """700 bytes, 44.4 kB, 1.3 GB."""
    if count < 1000:
        return f"{count:.0f} bytes"
    for unit in ("kB", "MB"):
        count /= 1000
        if count < 999.95:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:.1f} GB"


def plural(count: int, noun: str) -> str:
    """1 round, 2 rounds."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
