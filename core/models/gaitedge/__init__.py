"""GaitEdge (Liang et al., ECCV 2022)."""
