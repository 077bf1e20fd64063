"""From records to numbers: no text, no files, no torch."""
