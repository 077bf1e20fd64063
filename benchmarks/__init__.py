"""The harness: trains baseline and DSD side by side, writes records, and makes tables from them."""
