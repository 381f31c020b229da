"""The Serve config as it is modelled here, against Ray's own schema."""
