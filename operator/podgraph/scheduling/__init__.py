"""Decides which Jobs schedules and sensors create, and when. Pure logic, without I/O and without a clock."""
