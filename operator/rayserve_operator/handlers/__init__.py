"""kopf's part."""
