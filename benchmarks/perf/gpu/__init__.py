"""Everything that needs a GPU, in one run of a few minutes: tests, losses, speeds, and trials. See `__main__`."""
