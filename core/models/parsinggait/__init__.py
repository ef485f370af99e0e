"""ParsingGait (Zheng et al., ACM MM 2023)."""
