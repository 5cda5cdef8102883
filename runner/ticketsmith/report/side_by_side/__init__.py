"""Experiments side by side: what was asked for differently, and what came of it where they can be compared."""
