"""GaitGraph2 (Teepe et al., CVPRW 2022)."""
