"""DeepGaitV2 (Fan et al. 2023, arXiv 2303.03301)."""
