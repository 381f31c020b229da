"""Desired objects as plain manifests: pure functions of what a user wrote."""
