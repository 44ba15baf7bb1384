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

# The one mark of a test: its own, else that of its file, else that of its folder.
MARKS = ("fast", "lammps", "slow")
MARK_OF = {
    "tests": "fast",
    "tests/cuda": "slow",
    "tests/extending": "slow",
    "tests/gpu": "slow",
    "tests/lammps": "lammps",
    "tests/lammps/fuzz": "slow",
    "tests/lammps/test_plain_build.py": "slow",
    "tests/test_check_command.py": "slow",
    "tests/test_cli.py": "slow",
    "tests/test_readme.py": "lammps",
    "tests/training": "fast",
    "tests/training/test_compare.py": "slow",
    "tests/training/test_fine_tuning.py": "slow",
    "tests/training/test_outputs.py": "slow",
    "tests/training/test_report.py": "slow",
}


def mark_of(path: pathlib.Path) -> str | None:
    """What the tests of a file are marked with, if they do not say it themselves."""
    inside = path.relative_to(REPOSITORY)
    return MARK_OF.get(str(inside), MARK_OF.get(str(inside.parent)))


@pytest.hookimpl(tryfirst=True)  # before -m chooses by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    wrong = []
    for item in items:
        found = {mark.name for mark in item.iter_markers() if mark.name in MARKS}
        if not found and (mark := mark_of(item.path)):
            item.add_marker(mark)
            found = {mark}
        if len(found) != 1:
            wrong.append(f"{item.nodeid}: {' '.join(sorted(found)) or 'none'}")
    if wrong:
        raise pytest.UsageError(
            f"expected one mark of {', '.join(MARKS)} for every test, on it or for its folder in "
            "MARK_OF of tests/conftest.py; found\n" + "\n".join(wrong)
        )


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
