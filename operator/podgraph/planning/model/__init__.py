"""What a Job's spec and status hold: their types, names and limits."""
