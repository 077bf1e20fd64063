"""The arms: ways to use the training budget after D."""
