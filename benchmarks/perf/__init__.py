"""Benchmarks of time and memory: pytest-benchmark files, run by `nox -s perf`."""
