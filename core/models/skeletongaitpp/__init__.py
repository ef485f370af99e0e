"""SkeletonGait++ (Fan et al., AAAI 2024)."""
