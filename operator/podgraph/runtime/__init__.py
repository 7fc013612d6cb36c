"""The code that runs in a pod: load the user's code, read the inputs, run the op, report. Standard library only."""
