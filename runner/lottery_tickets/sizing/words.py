"""Bytes, for people."""


def in_words(size: int) -> str:
    """In GB of 10^9 bytes, or MB of 10^6."""
    if size < 10**9:
        return f"{size / 10**6:,.1f} MB"
    return f"{size / 10**9:,.1f} GB" if size < 10**12 else f"{size / 10**9:,.0f} GB"
