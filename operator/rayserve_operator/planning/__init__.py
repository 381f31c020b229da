"""What should happen next: pure functions of what is observed and the time."""
