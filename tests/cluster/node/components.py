"""How each component is started: its command line and its settings file, as seen inside the node."""

from __future__ import annotations

import json

from .layout import (
    API_URL,
    CONTAINERD_SOCKET,
    INNER,
    NODE_ADDRESS,
    NODE_NAME,
    PAUSE_IMAGE,
    POD_NETWORK,
    SERVICE_NETWORK,
)

CGROUP = "podgraph"
CNI_SETTINGS = "/run/cni"
ETCD_URL = "http://127.0.0.1:2379"
CERTIFICATES = INNER.certificates


def kubeconfig_of(name: str) -> str:
    """The kubeconfig of one component."""
    return str(CERTIFICATES / f"{name}.kubeconfig")


def containerd_settings(snapshotter: str, cni_programs: str) -> str:
    """Containerd with everything it writes below our own folder."""
    root = INNER.state / "containerd"
    return f"""version = 2
root = "{root}"
state = "/run/containerd"
[grpc]
address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
path = "{root}/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
# A container engine that runs us may forbid lower scores than its own; do not insist.
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{cni_programs}"
conf_dir = "{CNI_SETTINGS}"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "{snapshotter}"
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"""


def pod_network_settings() -> str:
    """A bridge for the pods, with addresses from one range, and host ports."""
    addresses = {
        "type": "host-local",
        "dataDir": str(INNER.state / "cni"),
        "ranges": [[{"subnet": POD_NETWORK}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": addresses,
    }
    host_ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return json.dumps({"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, host_ports]}, indent=1)


def kubelet_settings() -> str:
    """The kubelet's settings, as JSON, which is YAML too."""
    settings = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(CERTIFICATES / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(CERTIFICATES / "kubelet.crt"),
        "tlsPrivateKeyFile": str(CERTIFICATES / "kubelet.key"),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "volumePluginDir": str(INNER.state / "volume-plugins"),
        "podLogsDir": str(INNER.state / "pods"),
        "resolvConf": str(INNER.state / "resolv.conf"),
        # A cgroup of our own: what is below it is ours to remove, and no other kubelet's.
        "cgroupRoot": f"/{CGROUP}",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "localStorageCapacityIsolation": False,
        "oomScoreAdj": 0,
        "maxOpenFiles": 20000,
        "maxPods": 250,
        # Images are loaded by hand and cannot be pulled again: never collect them, evict late.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
            "nodefs.inodesFree": "1%",
        },
        "serializeImagePulls": False,
        "registryPullQPS": 0,
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
    }
    return json.dumps(settings, indent=1)


def containerd() -> list[str]:
    """The container runtime."""
    return ["containerd", "--config", str(INNER.state / "containerd.toml")]


def etcd() -> list[str]:
    """The store; no sync to disk, since nothing outlives the run."""
    return [
        INNER.program("etcd"),
        f"--data-dir={INNER.state / 'etcd'}",
        f"--listen-client-urls={ETCD_URL}",
        f"--advertise-client-urls={ETCD_URL}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--unsafe-no-fsync",
        "--quota-backend-bytes=4294967296",
    ]


def api_server() -> list[str]:
    """The API server, with the request-header settings that `kubectl exec` and friends rely on."""
    return [
        INNER.program("kube-apiserver"),
        f"--etcd-servers={ETCD_URL}",
        f"--advertise-address={NODE_ADDRESS}",
        "--secure-port=6443",
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        f"--tls-cert-file={CERTIFICATES}/apiserver.crt",
        f"--tls-private-key-file={CERTIFICATES}/apiserver.key",
        f"--client-ca-file={CERTIFICATES}/ca.crt",
        f"--kubelet-client-certificate={CERTIFICATES}/kubelet-client.crt",
        f"--kubelet-client-key={CERTIFICATES}/kubelet-client.key",
        f"--kubelet-certificate-authority={CERTIFICATES}/ca.crt",
        # The node's name resolves nowhere.
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={CERTIFICATES}/sa.pub",
        f"--service-account-signing-key-file={CERTIFICATES}/sa.key",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--requestheader-client-ca-file={CERTIFICATES}/ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={CERTIFICATES}/front-proxy.crt",
        f"--proxy-client-key-file={CERTIFICATES}/front-proxy.key",
        "--allow-privileged=true",
        "--profiling=false",
    ]


def control_loop(program: str, name: str) -> list[str]:
    """What the controller manager and the scheduler share; there is one of each, so no election."""
    return [
        INNER.program(program),
        f"--kubeconfig={kubeconfig_of(name)}",
        f"--authentication-kubeconfig={kubeconfig_of(name)}",
        f"--authorization-kubeconfig={kubeconfig_of(name)}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
    ]


def controller_manager() -> list[str]:
    """The controllers, service-account tokens among them."""
    return [
        *control_loop("kube-controller-manager", "controller-manager"),
        "--use-service-account-credentials=true",
        # Every controller makes a service account at the start: the usual 20 requests a second cost 4 s.
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        f"--service-account-private-key-file={CERTIFICATES}/sa.key",
        f"--flex-volume-plugin-dir={INNER.state / 'volume-plugins'}",
        f"--root-ca-file={CERTIFICATES}/ca.crt",
        f"--cluster-signing-cert-file={CERTIFICATES}/ca.crt",
        f"--cluster-signing-key-file={CERTIFICATES}/ca.key",
        f"--pv-recycler-pod-template-filepath-hostpath={INNER.state / 'recycler.json'}",
    ]


def scheduler() -> list[str]:
    """The scheduler, as it comes."""
    return control_loop("kube-scheduler", "scheduler")


def kubelet() -> list[str]:
    """The node itself."""
    return [
        INNER.program("kubelet"),
        f"--kubeconfig={kubeconfig_of('kubelet')}",
        f"--config={INNER.state / 'kubelet.json'}",
        f"--root-dir={INNER.state / 'kubelet'}",
        f"--hostname-override={NODE_NAME}",
        f"--node-ip={NODE_ADDRESS}",
        "--v=2",
    ]


def kube_proxy() -> list[str]:
    """Service addresses, as iptables rules in the node's own network namespace."""
    return [
        INNER.program("kube-proxy"),
        f"--master={API_URL}",
        f"--kubeconfig={kubeconfig_of('kube-proxy')}",
        f"--hostname-override={NODE_NAME}",
        f"--cluster-cidr={POD_NETWORK}",
        "--proxy-mode=iptables",
        # The connection table's size belongs to the whole machine: leave it alone.
        "--conntrack-max-per-core=0",
    ]


BEFORE_API = {"containerd": containerd, "etcd": etcd, "kube-apiserver": api_server}
AFTER_API = {
    "kube-controller-manager": controller_manager,
    "kube-scheduler": scheduler,
    "kubelet": kubelet,
    "kube-proxy": kube_proxy,
}
