"""The five losses, one per file (eq. 13-18)."""
