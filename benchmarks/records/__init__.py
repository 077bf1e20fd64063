"""Records, one JSON file per trial: schema, storage and packed outcomes."""
