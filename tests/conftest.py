"""Settings of all tests."""

from hypothesis import settings

# A deadline for each example would make the tests depend on how busy the machine is.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
