"""Tests against a fake Kubernetes API server, and the server itself (`api.fake`)."""
