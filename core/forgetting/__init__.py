"""Search for the data of a subject in a workspace."""
