"""Peers for comparison: the straightforward implementation of each task, without optimizations."""
