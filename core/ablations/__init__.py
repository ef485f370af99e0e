"""The paper's tables: which rows train, and the tables of their scores."""
