"""Turn records into numbers: no text, no files, no torch."""
