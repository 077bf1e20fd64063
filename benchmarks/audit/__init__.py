"""Check that a record agrees with itself and with the files beside it."""
