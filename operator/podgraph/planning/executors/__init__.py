"""The executors: a pod per step, a single pod, or a pod per step with pod groups."""
