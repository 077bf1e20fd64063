"""Intervals, tests and the bootstrap: imports nothing of ours."""
