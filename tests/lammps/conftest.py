"""Models and helpers for the tests that run `lmp`."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from final_state import export_models  # noqa: E402


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Folder with an exported float64 model and a checkpoint for every name in ``MODELS``."""
    folder = tmp_path_factory.mktemp("models")
    export_models(folder)
    return folder
