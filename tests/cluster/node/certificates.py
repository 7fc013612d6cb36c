"""The node's certificate authority, its certificates, and the kubeconfigs that carry them."""

from __future__ import annotations

import base64
from pathlib import Path

from .layout import API_SERVICE_ADDRESS, API_URL, NAME, NODE_ADDRESS, NODE_NAME, Layout
from .progress import output_of

VALID_DAYS = "3650"
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
API_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost")
API_ADDRESSES = ("127.0.0.1", NODE_ADDRESS, API_SERVICE_ADDRESS)

# Who each component is to the API server; the built-in RBAC roles know these names.
KUBECONFIG_SUBJECTS = {
    "admin": "/O=system:masters/CN=admin",
    "controller-manager": "/CN=system:kube-controller-manager",
    "scheduler": "/CN=system:kube-scheduler",
    "kubelet": f"/O=system:nodes/CN=system:node:{NODE_NAME}",
    "kube-proxy": "/CN=system:kube-proxy",
}


def extensions(usage: str, names: tuple[str, ...] = (), addresses: tuple[str, ...] = ()) -> str:
    """The certificate extensions as openssl reads them."""
    entries = [f"DNS:{name}" for name in names] + [f"IP:{address}" for address in addresses]
    # Python 3.13 and newer check strictly: the identifiers and key usages must be there.
    lines = [
        "basicConstraints=critical,CA:FALSE",
        "keyUsage=critical,digitalSignature",
        "subjectKeyIdentifier=hash",
        "authorityKeyIdentifier=keyid",
        f"extendedKeyUsage={usage}",
    ]
    if entries:
        lines.append(f"subjectAltName={','.join(entries)}")
    return "\n".join(lines) + "\n"


def make_authority(folder: Path) -> None:
    """The certificate authority that every component trusts."""
    output_of([
        "openssl", "req", "-x509", *NEW_KEY, "-keyout", str(folder / "ca.key"), "-out", str(folder / "ca.crt"),
        "-subj", "/CN=kubernetes", "-days", VALID_DAYS, "-addext", "keyUsage=critical,keyCertSign,cRLSign",
    ])  # fmt: skip


def make_certificate(folder: Path, name: str, subject: str, extension_lines: str) -> None:
    """A key and a certificate for it, signed by our authority."""
    request, extension_file = folder / f"{name}.csr", folder / f"{name}.ext"
    key, certificate = folder / f"{name}.key", folder / f"{name}.crt"
    extension_file.write_text(extension_lines)
    new_request = ["openssl", "req", *NEW_KEY, "-keyout", str(key), "-out", str(request), "-subj", subject]
    output_of(new_request)
    output_of([
        "openssl", "x509", "-req", "-in", str(request), "-CA", str(folder / "ca.crt"), "-CAkey", str(folder / "ca.key"),
        "-CAcreateserial", "-out", str(certificate), "-days", VALID_DAYS, "-extfile", str(extension_file),
    ])  # fmt: skip
    request.unlink()
    extension_file.unlink()


def make_service_account_keys(folder: Path) -> None:
    """The key pair that signs and checks the pods' service-account tokens."""
    private, public = str(folder / "sa.key"), str(folder / "sa.pub")
    output_of(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", private])
    output_of(["openssl", "ec", "-in", private, "-pubout", "-out", public])


def kubeconfig(authority: bytes, certificate: bytes, key: bytes) -> str:
    """A kubeconfig that carries its certificates, so that the file can be copied elsewhere."""
    ca, crt, private = (base64.b64encode(content).decode() for content in (authority, certificate, key))
    return f"""apiVersion: v1
kind: Config
current-context: {NAME}
clusters:
- name: {NAME}
  cluster: {{server: "{API_URL}", certificate-authority-data: {ca}}}
users:
- name: {NAME}
  user: {{client-certificate-data: {crt}, client-key-data: {private}}}
contexts:
- name: {NAME}
  context: {{cluster: {NAME}, user: {NAME}, namespace: default}}
"""


def make_all(layout: Layout) -> None:
    """Everything that one run of the node needs, always anew: a half-made set is never reused."""
    folder = layout.certificates
    folder.mkdir(parents=True, mode=0o700)
    make_authority(folder)
    make_certificate(folder, "apiserver", "/CN=kube-apiserver", extensions("serverAuth", API_NAMES, API_ADDRESSES))
    make_certificate(folder, "kubelet-client", "/O=system:masters/CN=kubelet-client", extensions("clientAuth"))
    make_certificate(folder, "front-proxy", "/CN=front-proxy-client", extensions("clientAuth"))
    for name, subject in KUBECONFIG_SUBJECTS.items():
        # The kubelet's certificate also serves: the API server calls it for logs, exec and port-forward.
        both = extensions("clientAuth,serverAuth", (NODE_NAME,), (NODE_ADDRESS, "127.0.0.1"))
        make_certificate(folder, name, subject, both if name == "kubelet" else extensions("clientAuth"))
        parts = [(folder / file).read_bytes() for file in ("ca.crt", f"{name}.crt", f"{name}.key")]
        file = folder / f"{name}.kubeconfig"
        file.touch(mode=0o600)
        file.write_text(kubeconfig(*parts))
    make_service_account_keys(folder)
