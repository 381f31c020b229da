"""Pods that are tried at the API server before any is made."""
