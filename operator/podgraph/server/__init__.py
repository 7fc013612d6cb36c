"""The server of the web page: its API for the Jobs of a cluster, and the built page."""
