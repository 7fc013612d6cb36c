"""Run config: its schema, its validation, and the source of each input value."""
