"""The harness: trains baseline and DSD side by side, writes records, and makes tables from them."""

import os
from pathlib import Path

import tasks as tasks  # which settles the environment, before anything else of ours is imported

ROOT = Path(__file__).resolve().parent.parent
"""The root of the checkout."""

os.environ["MPLBACKEND"] = (
    "agg"  # a notebook's, set for every command in it, is not installed here: matplotlib would refuse
)
