"""A stand-in for the Ray of every pod: one program at all their addresses, which says what Ray would say."""
