"""A RayService as KubeRay has it on an API server."""

from scenarios.harness import kuberay
from scenarios.harness.kube import Kube, Manifest
from scenarios.harness.rayservice import RayService

OWNED = ("pods", "services", "rayclusters")


def make(kube: Kube, namespace: str, sample: Manifest, cluster: str) -> RayService:
    """Everything that KubeRay makes for a RayService with one cluster of this name."""
    wanted = kuberay.ray_service(sample["spec"], sample["metadata"]["name"], namespace)
    made = kube.create("rayservices", wanted)
    ray_cluster = kube.create("rayclusters", kuberay.ray_cluster(made, cluster))
    for front in kuberay.services(made, ray_cluster):
        # These are the API server's to say.
        del front["metadata"]["managedFields"]
        if front["spec"]["clusterIP"] != "None":
            del front["spec"]["clusterIP"]
        kube.create("services", front)
    for pod in (kuberay.head_pod(ray_cluster), *kuberay.workers(ray_cluster)):
        kube.create("pods", pod)
    return RayService(kube, namespace, made["metadata"]["name"])


def tell_that_it_serves(service: RayService, cluster: str) -> None:
    """What KubeRay writes once Ray runs the applications: it lets the head take traffic."""
    kube, namespace = service.kube, service.namespace
    serves = {"metadata": {"labels": {"ray.io/serve": "true"}}}
    for head in service.heads(cluster):
        kube.merge("pods", namespace, head, serves)
    generation = service.object["metadata"]["generation"]
    status = {"status": kuberay.service_status(cluster, generation=generation)}
    kube.merge("rayservices", namespace, service.name, status, "status")
    status = {"status": kuberay.cluster_status(cluster)}
    kube.merge("rayclusters", namespace, cluster, status, "status")


def come_back(service: RayService, cluster: str) -> None:
    """What KubeRay writes first when it finds its objects again."""
    held = {"metadata": {"finalizers": [kuberay.FINALIZER]}}
    service.kube.merge("rayservices", service.namespace, service.name, held)
    stamped = {"metadata": {"annotations": {"ray.io/kuberay-version": kuberay.VERSION}}}
    service.kube.merge("rayclusters", service.namespace, cluster, stamped)


def uids(service: RayService) -> dict[str, dict[str, str]]:
    """The uids of what is made for RayServices of the namespace, by plural and name."""
    return {
        plural: {
            found["metadata"]["name"]: found["metadata"]["uid"]
            for found in service.kube.list(plural, service.namespace)
        }
        for plural in OWNED
    }
