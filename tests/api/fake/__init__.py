"""A fake Kubernetes API server for tests, with fault injection.

async with FakeCluster() as fake, AutoKubelet(fake, lambda pod: (0, "done")):
    ...  # speak to fake.url
"""

from .cluster import FakeCluster
from .errors import ApiError
from .faults import Fault
from .kubelet import AutoKubelet
from .resources import RESOURCES, Resource
from .server import Request

__all__ = ["ApiError", "AutoKubelet", "FakeCluster", "Fault", "Request", "RESOURCES", "Resource"]
