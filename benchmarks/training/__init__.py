"""Trains one trial and writes its record; knows no terminal."""
