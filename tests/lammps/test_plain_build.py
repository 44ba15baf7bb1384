"""A plugin built with plain cmake, loaded by a LAMMPS that knows nothing of Python."""

import importlib.metadata
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess

import pytest
from run_lmp import SINGLE_POINT, write_data
from systems import SYSTEMS


def package(name):
    return pathlib.Path(importlib.util.find_spec(name).submodule_search_locations[0])


def file_of_mpich(name):
    (path,) = [file for file in importlib.metadata.files("mpich") if file.name == name]
    return path.locate().resolve()


def test_the_commands_of_the_readme(repository, models, tmp_path):
    if not shutil.which("cmake"):
        pytest.skip("needs cmake, which `pip install '.[test]'` brings")
    (commands,) = re.findall(
        r"```bash\n(cmake -S .*?)```", (repository / "README.md").read_text(), flags=re.DOTALL
    )
    for placeholder, folder in [
        ("-S .", f"-S {repository}"),
        ("/path/to/lammps/src", package("lammps") / "include" / "lammps"),
        ("/path/to/mpi/include", file_of_mpich("mpi.h").parent),
        ("/path/to/torch", package("torch")),
    ]:
        assert placeholder in commands
        commands = commands.replace(placeholder, str(folder))
    build = subprocess.run(
        ["bash", "-euc", commands], cwd=tmp_path, capture_output=True, text=True,
        # Without optimization, which nobody measures here, it is done sooner.
        env=os.environ | {"CMAKE_BUILD_PARALLEL_LEVEL": "2", "CMAKE_BUILD_TYPE": "Debug"},
    )  # fmt: skip
    assert build.returncode == 0, build.stdout + build.stderr

    write_data(tmp_path / "atoms.data", SYSTEMS["triclinic"](), ["O", "H"])
    script = "plugin load build/caceplugin.so\n" + SINGLE_POINT.format(
        units="metal", boundary="p p p", data="atoms.data", before_box="", before_run="",
        pair=f"pair_style cace\npair_coeff * * {models / 'T2.pt'} O H",
    )  # fmt: skip
    (tmp_path / "in.lmp").write_text(script)
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("LAMMPS", "PYTHON"))
    }
    run = subprocess.run(
        [package("lammps") / "lmp", "-in", "in.lmp"], cwd=tmp_path, capture_output=True, text=True,
        env=environment | {"LD_PRELOAD": str(file_of_mpich("libmpi.so.12"))},
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert "RESULT" in run.stdout and "Loading plugin: CACE" in run.stdout
