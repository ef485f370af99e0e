"""One file per verb: each returns a result and prints nothing."""
