"""Experiments on a cluster as a person at a terminal sees them: hand one in, watch it, read its rounds' logs.

It asks the API server alone, with the rights of whoever asks; the operator does the work.
"""
