"""MultiGait++ (Jin et al. 2024, arXiv 2412.11495)."""
