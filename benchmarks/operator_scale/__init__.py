"""The parts of `benchmarks/operator_scale.py`."""
