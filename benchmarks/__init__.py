"""The harness: train baseline and DSD side by side, write records, and make tables from them."""

import os
from pathlib import Path

import tasks as tasks  # sets up the environment; must be the first import

ROOT = Path(__file__).resolve().parent.parent
"""The root of the checkout."""

os.environ["MPLBACKEND"] = "agg"  # notebooks set a backend that is not installed here, and matplotlib would fail
