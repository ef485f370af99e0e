"""LMGait (the paper that this toolkit implements)."""
