"""What anyone would write first, for comparison: as its users write it, on purpose without tricks."""
