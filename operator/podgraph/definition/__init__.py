"""What a job is: ops, how they are written in Python or YAML, and the plain graph both become."""
