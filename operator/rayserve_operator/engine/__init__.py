"""The order of things: what is looked at when, and how plans are carried out."""
