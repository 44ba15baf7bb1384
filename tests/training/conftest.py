"""Fixtures of the training tests."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from training_helpers import config_file, data_file  # noqa: E402, F401
