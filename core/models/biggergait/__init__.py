"""BiggerGait (Ye et al., NeurIPS 2025)."""
