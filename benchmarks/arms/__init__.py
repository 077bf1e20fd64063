"""The arms: ways to spend the budget after D."""
