"""What the operator's memory is spent on: the real process before stand-ins, without a cluster."""
