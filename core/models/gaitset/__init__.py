"""GaitSet (Chao et al., AAAI 2019)."""
