"""Data handling that all domains share: verification, caches, decoding and loading."""
