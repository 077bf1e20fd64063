"""Trains one trial and writes its record, without terminal output."""
