"""Starts pytest again inside a cluster: with a node for the scenarios, without for integration."""

import sys
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from localcluster import ClusterSpec, LocalClusterError, packages
from localcluster.progress import Steps
from scenarios.harness import diagnosis, earlier, prometheus, published, session, traefik
from scenarios.harness.audit import AuditLog
from scenarios.harness.kube import Kube

HERE = Path(__file__).parent
WITHOUT_CLUSTER = HERE / "unit"
SUITES = (HERE / "scenarios", HERE / "integration", WITHOUT_CLUSTER)
OF_GATEWAYS = HERE / "scenarios" / "test_gateway_rollout.py"
OF_RELEASES = HERE / "scenarios" / "test_release_before.py"


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Start pytest again inside the cluster's network."""
    only_tells = config.option.collectonly or config.option.help or config.option.version
    if session.is_inside() or only_tells:
        return None
    suites = {_suite(argument) for argument in config.args}
    if len(suites) != 1 or None in suites:
        raise pytest.UsageError("name tests of e2e/scenarios, e2e/integration or e2e/unit")
    if suites == {WITHOUT_CLUSTER}:
        return None
    try:
        # There is no way out of the cluster's network.
        if suites == {SUITES[0]}:
            with Steps() as steps:
                packages.unpack(steps, prometheus.PACKAGE)
            if _is_asked_for(OF_GATEWAYS, config):
                traefik.build()
            release = earlier.find() if _is_asked_for(OF_RELEASES, config) else None
            if release is not None:
                release.build()
        else:
            for definitions in published.ALL:
                definitions.fetch()
        return session.run_inside(
            [sys.executable, "-m", "pytest", *config.invocation_params.args],
            control_plane=ClusterSpec(control_plane_only=True) if suites == {SUITES[1]} else None,
        )
    except LocalClusterError as error:
        raise pytest.UsageError(str(error)) from error


def _suite(argument: str) -> Path | None:
    return next((suite for suite in SUITES if _path(argument).is_relative_to(suite)), None)


def _is_asked_for(module: Path, config: pytest.Config) -> bool:
    """Whether tests that bear no marker may be among those that are run."""
    paths = map(_path, config.args)
    return not config.option.markexpr and any(map(module.is_relative_to, paths))


def _path(argument: str) -> Path:
    return Path(argument.partition("::")[0]).resolve()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what the cluster looks like to the report of a failed test."""
    report = yield
    namespace = item.funcargs.get("namespace") if isinstance(item, pytest.Function) else None
    if report.failed and isinstance(namespace, str):
        report.sections.extend(diagnosis.sections(namespace))
    return report


@pytest.fixture(scope="session")
def kube() -> Iterator[Kube]:
    """The cluster's API."""
    with closing(Kube()) as kube:
        yield kube


@pytest.fixture(scope="session")
def audit_log() -> AuditLog:
    """The API server's audit log, which only a local cluster has."""
    cluster = session.local_cluster()
    if cluster is None:
        pytest.skip("the audit log is only at hand on a local cluster")
    return AuditLog(cluster.audit_log)
