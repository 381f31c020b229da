"""Runs the scenarios inside a cluster of their own, with one operator for all of them."""

import sys
from collections.abc import Generator, Iterator

import pytest

from localcluster import LocalClusterError
from scenarios.harness import diagnosis, session
from scenarios.harness.audit import AuditLog
from scenarios.harness.kube import Kube, KubectlError
from scenarios.harness.namespaces import fresh_namespace
from scenarios.harness.release import OperatorRelease


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Start pytest again inside the cluster's network."""
    only_tells = config.option.collectonly or config.option.help or config.option.version
    if session.is_inside() or only_tells:
        return None
    try:
        return session.run_inside([sys.executable, "-m", "pytest", *config.invocation_params.args])
    except LocalClusterError as error:
        raise pytest.UsageError(str(error)) from error


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what the cluster looks like to the report of a failed scenario."""
    report = yield
    if report.failed and "namespace" in getattr(item, "fixturenames", ()):
        namespace = item.funcargs.get("namespace")  # type: ignore[attr-defined]
        if namespace:
            report.sections.extend(diagnosis.sections(namespace))
    return report


@pytest.fixture(scope="session")
def kube() -> Kube:
    """The cluster's API."""
    assert session.is_inside(), "name e2e/scenarios on pytest's command line"
    return Kube()


@pytest.fixture(scope="session", autouse=True)
def operator(kube: Kube) -> OperatorRelease:
    """The operator, installed by its chart."""
    release = OperatorRelease(kube)
    try:
        release.install()
    except KubectlError as error:
        pytest.exit(f"the operator could not be installed: {error}", returncode=1)
    return release


@pytest.fixture(scope="module")
def namespace(kube: Kube, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for the scenarios of one module."""
    name = request.module.__name__.rpartition(".")[2].replace("_", "-")
    with fresh_namespace(kube, name):
        yield name


@pytest.fixture(scope="session")
def audit_log() -> AuditLog:
    """The API server's audit log, which only a local cluster has."""
    cluster = session.local_cluster()
    if cluster is None:
        pytest.skip("the audit log is only at hand on a local cluster")
    return AuditLog(cluster.audit_log)
