"""The outside world behind the engine's Protocols."""
