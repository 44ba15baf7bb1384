"""Models and helpers for the tests that run `lmp`."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from final_state import MODELS, model_of  # noqa: E402
from pair_cace.cli.export import export_checkpoint  # noqa: E402
from pair_cace.io.checkpoint import save_checkpoint  # noqa: E402


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Folder with an exported float64 model and a checkpoint for every name in ``MODELS``."""
    folder = tmp_path_factory.mktemp("models")
    for name, settings in MODELS.items():
        save_checkpoint(folder / f"{name}.cace.pt", model_of(name), settings, {})
        export_checkpoint(folder / f"{name}.cace.pt", folder / f"{name}.pt", None)
    return folder
