"""The `rayserve` command, also `kubectl rayserve`: what people ask of RayServices, and tell them."""
