"""What the operator does on a real cluster with real Ray: scenarios, the demo and a benchmark."""
