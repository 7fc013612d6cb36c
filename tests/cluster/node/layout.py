"""Names, addresses and folders of the cluster: the one place that knows where things lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]

NAME = "podgraph"
NODE_NAME = "node"
HOST_LINK = "podgraph0"
NODE_LINK = "eth0"
HOST_ADDRESS = "172.31.254.1"
NODE_ADDRESS = "172.31.254.2"
LINK_NETWORK = "172.31.254.0/30"
POD_NETWORK = "10.244.0.0/16"
SERVICE_NETWORK = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"
API_URL = f"https://{NODE_ADDRESS}:6443"

# Inside the node's own mount namespace `.cluster` is also found here, so that no socket path
# depends on how deep the checkout lies (they must stay under 108 characters).
INNER_DIRECTORY = Path("/run/podgraph")
CONTAINERD_SOCKET = Path("/run/containerd/containerd.sock")

PAUSE_IMAGE = "localhost/pause:1"
BUSYBOX_IMAGE = "docker.io/library/busybox:1"
OPERATOR_IMAGE = "podgraph/operator:dev"
STEP_IMAGE = "podgraph/step:dev"


@dataclass(frozen=True)
class Layout:
    """The folders of one checkout's cluster, seen from the host or from inside the node."""

    directory: Path

    @property
    def binaries(self) -> Path:
        """Compiled programs; kept by `make down`."""
        return self.directory / "bin"

    @property
    def cache(self) -> Path:
        """Image archives, stamps and build logs; kept by `make down`."""
        return self.directory / "cache"

    @property
    def state(self) -> Path:
        """Everything of one run of the node; removed by `make down`."""
        return self.directory / "state"

    @property
    def certificates(self) -> Path:
        """Keys and certificates of one run."""
        return self.state / "pki"

    @property
    def logs(self) -> Path:
        """One log a component."""
        return self.state / "log"

    @property
    def kubeconfig(self) -> Path:
        """What tests and people use to reach the cluster."""
        return self.directory / "kubeconfig"

    def program(self, name: str) -> str:
        """The path of a compiled program, as an argument."""
        return str(self.binaries / name)


HOST = Layout(CHECKOUT / ".cluster")
INNER = Layout(INNER_DIRECTORY)
