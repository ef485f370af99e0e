"""Import of weights trained by other programs, without executing code in their files."""
