"""One JSON file per trial: its schema, its store, its packed outcomes."""
