"""How quick and how quiet an operator of `ray.io/v1` is with many RayServices, in ratio to no operator at all."""
