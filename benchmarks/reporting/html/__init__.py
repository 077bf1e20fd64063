"""The report: one HTML page of all results that needs no other file."""
