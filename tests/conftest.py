"""Settings of all tests."""

from hypothesis import settings

# How long an example takes says more of the machine than of the code.
settings.register_profile("without a clock", deadline=None)
settings.load_profile("without a clock")
