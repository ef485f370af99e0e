"""Where data of a person lie."""
