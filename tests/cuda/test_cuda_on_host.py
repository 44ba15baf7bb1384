"""The CUDA kernels without a GPU: compiled for the host, where threads take turns."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from pair_cace import _core

HERE = pathlib.Path(__file__).parent
SCRIPT = """
import torch, pair_cace.operations
torch.ops.load_library("{library}")
import test_compiled as t
from helpers import random_model, settings_of
from pair_cace.data.graph import Graph
from systems import SYSTEMS
graph = Graph.of(SYSTEMS["molecule"](), t.CUTOFF)
for kind in ("T0", "Bchi", "T2-all", "nu4", "Bchi-one-weight", "Bchi-hidden", "one-embedding", "stretched"):
    for dtype in t.DTYPES:
        t.assert_both_ways_agree(settings_of(kind), graph, dtype)
# Freely mixed channels have kernels for CPUs alone that go from edges to energies and back.
def by_operations(settings, dtype):
    model = random_model(settings, dtype=dtype)
    model.has_kernels = False
    return model
t.random_model = by_operations
free = [settings_of(kind) for kind in ("free", "tensors", "T2-tensors", "T2-free")]
free += [settings_of("tensors", l_max=l, message_channels=m) for l, m in ((1, 3), (2, 70), (4, 5), (5, 17))]
for settings in free:
    for dtype in t.DTYPES:
        t.assert_both_ways_agree(settings, graph, dtype)
print(torch.ops.pair_cace.instructions())
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    compiler = shutil.which("c++")
    if not compiler:
        pytest.skip("needs a C++ compiler")
    library = tmp_path_factory.mktemp("cuda") / "libkernels_on_host.so"
    operations = pathlib.Path(_core.__file__).parent
    command = [
        compiler, "-std=c++20", "-O1", "-fPIC", "-shared", "-fvisibility=hidden", f"-I{HERE}",
        HERE / "kernels_on_host.cpp", "-o", library, f"-L{operations}", "-lpair_cace_ops",
        f"-Wl,-rpath,{operations}", "-Wl,--allow-shlib-undefined",
    ]  # fmt: skip
    build = subprocess.run(command, capture_output=True, text=True)
    assert build.returncode == 0, build.stderr
    return library


def test_neighbors_agree_with_those_of_a_cpu(library):
    script = f"""
import ctypes, pair_cace.operations
print(ctypes.CDLL("{library}").failed_neighbor_tests())
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.stdout.strip() == "0", run.stderr


def test_kernels_agree_with_plain_torch(library):
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(library=library)], cwd=HERE.parent,
        env=os.environ | {"PAIR_CACE_INSTRUCTIONS": "cuda_on_host"}, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "cuda_on_host"
