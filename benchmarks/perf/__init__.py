"""What things cost: pytest-benchmark files, run by `nox -s perf`."""
