"""What runs inside a step's pod: load the user's code, read the inputs, run the op, report. Standard library only."""
