"""The web page: its API over the Jobs of a cluster, and the built page itself."""
