"""A few of the random scripts; `python tests/lammps/fuzz/run.py` runs as many as wanted."""

import pytest
from models import export_models
from run import run_script


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return export_models(tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize("seed", range(25))
def test_random_script(tmp_path, exported, seed):
    verdict = run_script(seed, exported, tmp_path / f"script{seed}")
    assert verdict.good, verdict.text
