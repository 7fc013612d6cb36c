"""The messages between the operator and its pods. Standard library only; planning and runtime build on it."""
