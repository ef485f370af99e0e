"""BigGait (Ye et al., CVPR 2024)."""
