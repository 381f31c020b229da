"""The command line: thin, for everything it does is in the other modules."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from localcluster import binaries, box, host, images, stores
from localcluster.cluster import LocalCluster
from localcluster.errors import LocalClusterError
from localcluster.keeper import Event
from localcluster.progress import Steps, console, elapsed_text, print_line
from localcluster.spec import DEFAULT_GPUS, DEFAULT_NAME, ClusterSpec

app = typer.Typer(
    help="A real Kubernetes node in one disposable box of namespaces, without Docker.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
image_app = typer.Typer(help="Images, built without a registry.", no_args_is_help=True)
app.add_typer(image_app, name="image")

_PLAIN: Mapping[str, Any] = {"box": None, "pad_edge": False}

Name = Annotated[str, typer.Argument(help="The cluster's name.")]


def _fail(error: Exception) -> typer.Exit:
    print_line(console(), f"✗ {error}")
    return typer.Exit(1)


def _together(*jobs: Callable[[], None]) -> None:
    """Run jobs in threads and raise the first error once all have ended."""
    errors: list[Exception] = []

    def guarded(job: Callable[[], None]) -> None:
        try:
            job()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@app.command()
def build(
    with_images: Annotated[
        bool, typer.Option("--images/--no-images", help="Build the images meanwhile.")
    ] = True,
) -> None:
    """Build all programs (and images) that the cache lacks; check the host first."""
    try:
        with Steps() as steps:
            host.prepare(steps)
            chosen = _images_without_programs() if with_images else []
            _together(
                lambda: binaries.build_all(steps),
                lambda: images.build_images(steps, chosen),
            )
            images.build_images(steps, [images.pause_image()])
            large, _ = stores.split(image.archive for image in chosen)
            stores.ensure(steps, large)
            steps.note("✓ everything is built")
    except LocalClusterError as error:
        raise _fail(error) from None


def _images_without_programs() -> list[images.Image]:
    """Return all images but pause, which holds a program and so has to come after it."""
    return [image for name, image in images.all_images().items() if name != "pause"]


@image_app.command("build")
def image_build(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="base, operator, ray or pause; by default all but pause."),
    ] = None,
) -> None:
    """Build images and print the paths of their archives."""
    try:
        with Steps() as steps:
            host.prepare(steps)
            chosen = images.select(names) if names else _images_without_programs()
            images.build_images(steps, chosen)
        for image in chosen:
            print(image.archive)
    except LocalClusterError as error:
        raise _fail(error) from None


@image_app.command("load")
def image_load(
    names: Annotated[list[str], typer.Argument(help="Image names, or paths of oci-archives.")],
    cluster: Annotated[str, typer.Option(help="The cluster's name.")] = DEFAULT_NAME,
) -> None:
    """Import images into a cluster that is up, building them first where needed."""
    try:
        with Steps() as steps:
            for archive in _archives(names, steps):
                with steps.step(f"importing {archive.name}"):
                    LocalCluster(cluster).load_image(archive)
    except LocalClusterError as error:
        raise _fail(error) from None


def _archives(names: list[str], steps: Steps) -> list[Path]:
    archives = []
    for name in names:
        if Path(name).is_file():
            archives.append(Path(name).resolve())
            continue
        [image] = images.select([name])
        images.build_image(steps, image)
        archives.append(image.archive)
    return archives


@app.command()
def up(
    name: Name = DEFAULT_NAME,
    control_plane_only: Annotated[
        bool, typer.Option("--control-plane-only", help="Without a node: no pod runs.")
    ] = False,
    controllers: Annotated[
        bool, typer.Option(help="Run kube-controller-manager (a node needs it).")
    ] = True,
    kwok: Annotated[
        bool, typer.Option(help="Give a control plane a scheduler, and nodes that kwok plays.")
    ] = False,
    image: Annotated[
        list[str] | None,
        typer.Option(help="An image or oci-archive to import; default: operator and ray."),
    ] = None,
    no_images: Annotated[bool, typer.Option("--no-images", help="Import no image.")] = False,
    gpus: Annotated[int, typer.Option(help="How many nvidia.com/gpu the node claims.")] = (
        DEFAULT_GPUS
    ),
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay until Ctrl-C ends the cluster.")
    ] = False,
) -> None:
    """Start a cluster and wait until it is ready."""
    try:
        with Steps() as steps:
            host.prepare(steps)
            spec = ClusterSpec(name, control_plane_only, controllers, kwok=kwok, gpus=gpus)
            binaries.build_all(steps, spec.extra_programs)
            if spec.has_node:
                images.build_image(steps, images.pause_image())
                wanted = image or [known.name for known in images.workload_images()]
                archives = [] if no_images else _archives(wanted, steps)
                spec = replace(spec, images=tuple(archives))
        LocalCluster(name).up(spec, on_event=_show, foreground=foreground)
    except LocalClusterError as error:
        raise _fail(error) from None


def _show(event: Event) -> None:
    match event["event"]:
        case "ready":
            line = f"✓ {event['component']:<30} {elapsed_text(event['seconds']):>7}"
        case "complete":
            line = f"✓ {'the cluster is ready':<30} {elapsed_text(event['seconds']):>7}"
        case "restarted":
            line = f"! {event['component']} {event['reason']} and was started again"
        case _:
            return
    print_line(console(), line)


@app.command()
def down(
    name: Name = DEFAULT_NAME,
    everything: Annotated[bool, typer.Option("--all", help="End every cluster.")] = False,
) -> None:
    """End a cluster and remove all of it but its logs."""
    try:
        for cluster in LocalCluster.all() if everything else [LocalCluster(name)]:
            with Steps() as steps, steps.step(f"ending the cluster {cluster.name}"):
                cluster.down()
    except LocalClusterError as error:
        raise _fail(error) from None


@app.command()
def status(
    name: Annotated[
        str | None, typer.Argument(help="A cluster, to see its components; all by default.")
    ] = None,
) -> None:
    """List the clusters or, of one cluster, the components."""
    if name is None:
        _print_clusters()
    elif state := LocalCluster(name).state:
        _print_components(state)
    else:
        raise _fail(LocalClusterError(f"there is no cluster {name!r}"))


def _print_clusters() -> None:
    table = Table("NAME", "PHASE", "BEGAN", "READY AFTER", "COMPONENTS", **_PLAIN)
    for cluster in LocalCluster.all():
        if state := cluster.state:
            components = state["components"].values()
            ready = sum(1 for component in components if component.get("ready"))
            after = elapsed_text(state["seconds"]) if "seconds" in state else ""
            share = f"{ready} of {len(components)} ready"
            table.add_row(cluster.name, state["phase"], state["began"], after, share)
    Console().print(table)


def _print_components(state: Mapping[str, Any]) -> None:
    table = Table("COMPONENT", "PID IN BOX", "READY AFTER", "RESTARTS", **_PLAIN)
    for name, component in state["components"].items():
        after = elapsed_text(component["seconds"]) if component.get("ready") else "not ready"
        table.add_row(name, str(component["pid"]), after, str(component.get("restarts", 0)))
    Console().print(table)


@app.command(context_settings={"ignore_unknown_options": True})
def run(
    arguments: Annotated[list[str], typer.Argument(metavar="[NAME] -- CMD…")],
) -> None:
    """Run a command inside the box: its network, mounts, processes, KUBECONFIG and DNS.

    The exit status is the command's; signals and the terminal are passed through.
    """
    raise typer.Exit(box.main(arguments))


@app.command()
def shell(name: Name = DEFAULT_NAME) -> None:
    """Open a shell inside the box, with kubectl, helm and ctr on PATH."""
    raise typer.Exit(box.main([name, "--", os.environ.get("SHELL", "/bin/sh")]))


@app.command()
def logs(
    name: Name = DEFAULT_NAME,
    component: Annotated[
        str | None, typer.Argument(help="A component; without one the logs are listed.")
    ] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the last lines.")] = 200,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it grows.")] = False,
) -> None:
    """Show the log of a component; logs stay after ``down`` until the next ``up``."""
    layout = LocalCluster(name).layout
    if component is None:
        for path in sorted(layout.logs.glob("*.log")):
            print(path)
        return
    path = layout.component_log(component)
    if not path.exists():
        raise _fail(LocalClusterError(f"no log {path}"))
    command = ["tail", f"--lines={lines}", *(["--follow"] if follow else []), str(path)]
    sys.exit(subprocess.run(command, check=False).returncode)


@app.command("container-pid")
def container_pid(
    namespace: str,
    pod: str,
    container: str,
    cluster: Annotated[str, typer.Option(help="The cluster's name.")] = (
        os.environ.get("LOCALCLUSTER", DEFAULT_NAME)
    ),
) -> None:
    """Print the pid, inside the box, of a running container's first process."""
    try:
        print(LocalCluster(cluster).container_pid(namespace, pod, container))
    except LocalClusterError as error:
        raise _fail(error) from None
