"""Gather, plan, apply: from what happened in the cluster to what is done about it."""
