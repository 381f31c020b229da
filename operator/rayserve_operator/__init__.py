"""A Kubernetes operator for Ray Serve: RayService and RayCluster of ray.io/v1."""

__version__ = "0.1.0"
