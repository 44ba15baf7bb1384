"""Tests that need a GPU skip without one, unless scripts/gpu_check asks for them: then they fail."""

import os
import pathlib
import sys

import pytest
import torch
from pair_cace.operations import has_cuda_kernels

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lammps"))

from final_state import export_models  # noqa: E402


@pytest.fixture(autouse=True, scope="session")
def gpu():
    """The device of the tests."""
    missing = None
    if not torch.cuda.is_available():
        missing = "needs a GPU that torch sees"
    elif not has_cuda_kernels():
        missing = "needs a build with CUDA kernels"
    if missing and os.environ.get("PAIR_CACE_GPU_CHECK"):
        pytest.fail(f"{missing}, because PAIR_CACE_GPU_CHECK is set")
    if missing:
        pytest.skip(missing)
    return torch.device("cuda")


@pytest.fixture(scope="session", params=["float64", "float32"])
def models(request, tmp_path_factory):
    """Folder of exported models, and their precision."""
    folder = tmp_path_factory.mktemp(request.param)
    export_models(folder, request.param)
    return folder, getattr(torch, request.param)
