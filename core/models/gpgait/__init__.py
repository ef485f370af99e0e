"""GPGait (Fu et al., ICCV 2023)."""
