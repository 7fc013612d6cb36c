"""Runs a job on one machine: in this process, or with a process for each step."""
