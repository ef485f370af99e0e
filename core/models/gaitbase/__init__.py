"""GaitBase on silhouettes (Fan et al., CVPR 2023)."""
