"""What should happen next to a RayService: its goal, the roles of its clusters, the gate, and the planner."""
