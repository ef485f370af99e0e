"""The losses, one per file; eq. 13-18 are the paper's."""
