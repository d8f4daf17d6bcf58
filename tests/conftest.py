"""Settings of all tests."""

import os

from hypothesis import settings

# Of the backends of Keras, torch is the one that is there.
os.environ.setdefault("KERAS_BACKEND", "torch")

# pytest-xdist sets the width of a terminal for its workers; reports would follow it.
os.environ.pop("COLUMNS", None)

# A deadline for each example would make the tests depend on how busy the machine is.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
