"""Unix seconds to RFC 3339 and back. Formatting only: what time it is, the world says."""

from datetime import UTC, datetime


def rfc3339(seconds: float) -> str:
    """Unix time as RFC 3339 in UTC, to the microsecond where it is not a whole second."""
    moment = datetime.fromtimestamp(seconds, UTC)
    text = moment.isoformat(timespec="microseconds" if moment.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def unix(text: str) -> float:
    """Unix time of an RFC 3339 text that carries its offset."""
    return datetime.fromisoformat(text).timestamp()
