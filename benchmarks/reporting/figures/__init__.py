"""The figures, drawn without a display."""
