"""What it costs to be reviewed: many clients apply manifests at once, with the operator's webhook and without it."""
