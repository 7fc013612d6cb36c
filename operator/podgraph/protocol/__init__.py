"""What the operator and its pods send each other. Standard library only; planning and runtime stand on it."""
