"""Desired objects as manifests: pure functions of the specs."""
