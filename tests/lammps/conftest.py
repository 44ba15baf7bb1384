"""Models and helpers for the tests that run `lmp`."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from helpers import random_model, settings_of  # noqa: E402
from pair_cace.cli.export import export_checkpoint  # noqa: E402
from pair_cace.io.checkpoint import save_checkpoint  # noqa: E402


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Folder with exported float64 models ``T0.pt``, ``T2.pt``, and ``T0.cace.pt``, ``T2.cace.pt``."""
    folder = tmp_path_factory.mktemp("models")
    for name, kind in [("T0", "T0"), ("T2", "T2-all")]:
        settings = settings_of(kind)
        save_checkpoint(folder / f"{name}.cace.pt", random_model(settings), settings, {})
        export_checkpoint(folder / f"{name}.cace.pt", folder / f"{name}.pt", None)
    return folder
