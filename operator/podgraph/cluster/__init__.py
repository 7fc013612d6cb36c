"""The only package that calls the Kubernetes API."""
