"""What is left of a piece of work, and what it takes."""
