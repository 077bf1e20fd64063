"""The report: one HTML page of all results that needs nothing beside it."""
