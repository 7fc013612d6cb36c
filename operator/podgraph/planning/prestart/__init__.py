"""Pods that start before the inputs of their step exist (`spec.execution.prestart`)."""
