"""A real one-node Kubernetes for the tests, on a machine that may have no Docker.

Run by the system's Python with nothing installed: ``python3 -m cluster.node up|down|images|load``
(``make up`` and its neighbours set the path). Everything it makes lies under ``.cluster/``.
"""
