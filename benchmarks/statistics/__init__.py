"""Intervals, tests and the bootstrap. Imports no other package of the suite."""
