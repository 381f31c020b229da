"""What of localcluster can be tested without a cluster: recipes, keys, arguments, files."""

import io
import json
import tarfile
import tomllib
from pathlib import Path

import pytest
import yaml

from localcluster import ClusterSpec, LocalCluster, LocalClusterError, binaries, configs
from localcluster.binaries import kubernetes_go_mod
from localcluster.box import split_arguments
from localcluster.cache import digest
from localcluster.components import components
from localcluster.images import Image, copied_files, identity, layers
from localcluster.layout import Layout
from localcluster.progress import elapsed_text
from localcluster.stores import split
from localcluster.versions import KUBERNETES
from scenarios.harness import traefik


def test_staging_modules_become_published_ones() -> None:
    upstream = """\
go 1.25.0
godebug default=go1.25
replace (
	k8s.io/api => ./staging/src/k8s.io/api
	k8s.io/kubelet => ./staging/src/k8s.io/kubelet
)
"""
    lines = kubernetes_go_mod(upstream).splitlines()
    published = "v0." + KUBERNETES.split(".", 1)[1]
    assert f"replace k8s.io/api => k8s.io/api {published}" in lines
    assert f"replace k8s.io/kubelet => k8s.io/kubelet {published}" in lines
    assert "go 1.25.0" in lines
    assert "tool k8s.io/kubernetes/cmd/kubelet" in lines
    assert not [line for line in lines if "./staging" in line]


def test_only_copied_files_count(tmp_path: Path) -> None:
    for name in ("src/a.py", "src/__pycache__/a.pyc", "other.txt", "one.toml", "two.toml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    dockerfile = (
        "FROM scratch\n# COPY other.txt isn't copied\nCOPY --chown=1:1 src/ \\\n  /src/\n"
        "COPY *.toml ./\nCOPY --from=stage other.txt /\nRUN echo \"it's fine\n"
    )
    found = [str(path.relative_to(tmp_path)) for path in copied_files(dockerfile, tmp_path)]
    assert found == ["one.toml", "src/a.py", "two.toml"]


def test_the_key_follows_what_is_copied_and_the_parent(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("1")

    def key(dockerfile: str = "FROM scratch\nCOPY file /\n", parent: Image | None = None) -> str:
        return Image("localhost/x:1", "x", tmp_path, dockerfile, parent=parent).key

    first = key()
    assert key() == first
    (tmp_path / "unrelated").write_text("")
    assert key() == first
    parent = Image("localhost/p:1", "p", tmp_path, "FROM scratch\n")
    assert key(parent=parent) != first
    (tmp_path / "file").write_text("2")
    assert key() != first


def test_a_digest_tells_parts_apart() -> None:
    assert digest(["ab", "c"]) != digest(["a", "bc"])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["demo", "--", "kubectl", "get", "--", "x"], ("demo", ["kubectl", "get", "--", "x"])),
        (["--", "true"], ("local", ["true"])),
        (["demo", "true", "-x"], ("demo", ["true", "-x"])),
    ],
)
def test_run_arguments(arguments: list[str], expected: tuple[str, list[str]]) -> None:
    assert split_arguments(arguments) == expected


@pytest.mark.parametrize("arguments", [[], ["demo"], ["demo", "--"], ["a", "b", "--", "c"]])
def test_run_without_a_command_is_refused(arguments: list[str]) -> None:
    with pytest.raises(LocalClusterError, match="usage"):
        split_arguments(arguments)


@pytest.mark.parametrize("name", ["", "Demo", "../x", "-a", "a b"])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(LocalClusterError, match="no cluster name"):
        LocalCluster(name)


def test_a_specification_survives_json() -> None:
    spec = ClusterSpec("demo", gpus=2, images=(Path("/a.oci"),), store=Path("/store"))
    assert ClusterSpec.from_json(spec.to_json()) == spec
    assert ClusterSpec.from_json(ClusterSpec().to_json()) == ClusterSpec()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0s"), (12.13, "12.1s"), (60, "1m00s"), (252, "4m12s")]
)
def test_elapsed_time_reads_well(seconds: float, text: str) -> None:
    assert elapsed_text(seconds) == text


def test_configuration_files_parse(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    configs.write_all(ClusterSpec("demo"), layout)
    containerd = tomllib.loads((layout.config / "containerd.toml").read_text())
    assert containerd["root"] == str(layout.containerd)
    [link, _] = json.loads((layout.config / "cni" / "10-pods.conflist").read_text())["plugins"]
    assert link["type"] == "ptp"
    assert not link["ipMasq"]
    assert layout.kubeconfig.stat().st_mode & 0o777 == 0o600


def test_only_a_cluster_that_asks_for_kwok_gets_its_configuration(tmp_path: Path) -> None:
    plain, played = Layout(tmp_path / "plain"), Layout(tmp_path / "played")
    for layout in (plain, played):
        layout.root.mkdir()
    configs.write_all(ClusterSpec("plain", control_plane_only=True), plain)
    configs.write_all(ClusterSpec("played", control_plane_only=True, kwok=True), played)
    assert not (plain.config / "kwok.yaml").exists()
    stages = list(yaml.safe_load_all((played.config / "kwok.yaml").read_text()))
    assert [stage["kind"] for stage in stages] == ["Stage"] * 3
    kinds = [stage["spec"]["resourceRef"]["kind"] for stage in stages]
    assert kinds == ["Node", "Pod", "Pod"]


def test_what_few_clusters_need_is_built_for_them_alone() -> None:
    extra = {group.name for group in binaries.groups() if group.is_extra}
    assert extra == {*ClusterSpec(kwok=True).extra_programs, traefik.PROGRAM}
    assert not ClusterSpec().extra_programs


def test_large_archives_go_to_a_store(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.touch()
    with large.open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    assert split([small, large]) == ((large,), (small,))


@pytest.mark.parametrize(
    "spec",
    [
        ClusterSpec(),
        ClusterSpec(control_plane_only=True),
        ClusterSpec(control_plane_only=True, kwok=True, dns=True),
        ClusterSpec(gpus=0),
    ],
)
def test_every_need_is_met(
    spec: ClusterSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localcluster.binaries.program", lambda name: Path("/bin") / name)
    chosen = components(spec, Layout(tmp_path))
    names = {component.name for component in chosen}
    assert len(names) == len(chosen)
    assert all(names.issuperset(component.after) for component in chosen)
    assert ("kubelet" in names) == spec.has_node
    assert ("kwok" in names) == spec.kwok
    assert ("kube-scheduler" in names) == (spec.has_node or spec.kwok)
    assert ("gpus" in names) == (spec.has_node and spec.gpus > 0)


def test_an_archive_tells_its_image_and_layers(tmp_path: Path) -> None:
    name = {"org.opencontainers.image.ref.name": "localhost/some:1"}
    files = {
        "index.json": {"manifests": [{"digest": "sha256:abc", "annotations": name}]},
        "blobs/sha256/abc": {"layers": [{"digest": "sha256:1", "size": 7}]},
    }
    archive = tmp_path / "some.oci"
    with tarfile.open(archive, "w") as tar:
        for path, content in files.items():
            data = json.dumps(content).encode()
            described = tarfile.TarInfo(path)
            described.size = len(data)
            tar.addfile(described, io.BytesIO(data))
    assert identity(archive) == ("localhost/some:1", "sha256:abc")
    assert layers(archive) == {"sha256:1": 7}
