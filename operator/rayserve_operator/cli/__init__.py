"""The `rayserve` command, also `kubectl rayserve`: what people ask of rollouts, and tell them."""
