"""Callbacks for trainers that own the loop. Each module imports its framework, and nothing imports these modules for you."""
