"""Run config: what it may say, whether it is right, and where each input gets its value."""
