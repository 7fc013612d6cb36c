"""The steps of one Job: their records, admission, retries and timers."""
