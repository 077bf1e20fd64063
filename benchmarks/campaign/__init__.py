"""Campaigns: many trials, each in its own process, run by this machine, by Ray or by Slurm."""
