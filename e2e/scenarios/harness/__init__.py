"""What the scenarios are written with: a cluster, the objects in it, load, and counts."""
