"""A day of faults: see ../soak.py."""
