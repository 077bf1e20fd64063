"""The harness: trains baseline and DSD side by side, writes records, and makes tables from them."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The root of the checkout."""
