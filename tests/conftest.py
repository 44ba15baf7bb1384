"""Fixtures of all tests."""

from __future__ import annotations

import os
import pathlib

if (
    "PYTEST_XDIST_WORKER" in os.environ
):  # tests side by side, each with a core; before torch counts them
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> pathlib.Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """Data sets and published models, which are not part of the repository."""
    folder = pathlib.Path(os.environ.get("PAIR_CACE_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "reference").is_dir():
        pytest.skip(f"needs published models and data in {folder} (or PAIR_CACE_SHARED)")
    return folder


@pytest.fixture(autouse=True)
def fixed_seed():
    torch.manual_seed(0)
    np.random.seed(0)
