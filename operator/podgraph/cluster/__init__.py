"""The only folder that speaks to the Kubernetes API."""
