"""Pods that several ops share (`@op(pod=...)`, `ops[].pod`)."""
