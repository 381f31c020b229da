"""What should happen next to a RayCluster: small deciders, and the planner that puts them together."""
