"""The arms: uses of the budget after D."""
