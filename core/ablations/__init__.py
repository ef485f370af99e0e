"""The paper's tables: their trainable rows, and tables of scores."""
