"""Campaigns: many trials, each a process of its own, run by this machine, by Ray or by Slurm."""
