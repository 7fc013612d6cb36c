"""What the operator reads from pods: their state, outcome, timeouts and retention."""
