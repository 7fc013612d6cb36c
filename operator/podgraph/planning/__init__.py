"""What to do next, as pure functions of a Job, its pods and the time: no I/O and no clock in here."""
