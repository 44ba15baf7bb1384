"""All CUDA code compiles for sm_80 and sm_90, wherever nvcc is; a GPU is not needed."""

import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


def test_cmake_compiles_it(tmp_path):
    if not shutil.which("nvcc"):
        pytest.skip("needs nvcc")
    configure = ["-DPAIR_CACE_CUDA=ON", "-DPAIR_CACE_PYTHON_MODULE=OFF"]
    configure.append(f"-DPython_EXECUTABLE={sys.executable}")
    commands = [
        ["cmake", "-S", ROOT, "-B", tmp_path, *configure],
        ["cmake", "--build", tmp_path, "--target", "compile_cuda", "--parallel", "2"],
    ]
    for command in commands:
        run = subprocess.run(command, capture_output=True, text=True)
        assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert list(tmp_path.rglob("kernels.cu.o")) and list(tmp_path.rglob("stream.cpp.o"))
    assert "warning" not in run.stderr
