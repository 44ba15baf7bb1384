"""Loads the compiled operations ``torch.ops.pair_cace`` (source: src/pair_cace/ops)."""

from __future__ import annotations

import pathlib

import torch

from . import _core


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def load_operations() -> None:
    """Make ``torch.ops.pair_cace`` available.

    Raises ImportError if the running torch is another minor release than the one that the
    operations were compiled against: the C++ ABI differs.
    """
    if _minor(torch.__version__) != _minor(_core.torch_version):
        raise ImportError(
            f"pair_cace was compiled against torch {_core.torch_version}, but torch "
            f"{torch.__version__} is installed; run `pip install torch=={_core.torch_version}`, or "
            "compile pair_cace again with `pip install --no-build-isolation --no-deps .` in its "
            "source folder"
        )
    if torch._C._dispatch_has_kernel("pair_cace::edge_forces"):
        return  # LAMMPS in this process has loaded its plugin before, and the operations with it
    torch.ops.load_library(pathlib.Path(_core.__file__).with_name("libpair_cace_ops.so"))


load_operations()
edge_forces = torch.ops.pair_cace.edge_forces
edge_differences = torch.ops.pair_cace.edge_differences
neighbor_sum = torch.ops.pair_cace.neighbor_sum
mixed_basis = torch.ops.pair_cace.mixed_basis
mixed_invariants = torch.ops.pair_cace.mixed_invariants
radial_message = torch.ops.pair_cace.radial_message
tensor_message = torch.ops.pair_cace.tensor_message
share_with_ghosts = torch.ops.pair_cace.share_with_ghosts
search_neighbors = torch.ops.pair_cace.search_neighbors
select_edges = torch.ops.pair_cace.select_edges
has_cuda_kernels = torch.ops.pair_cace.has_cuda_kernels
keep_freed_memory = torch.ops.pair_cace.keep_freed_memory
Potential = torch.classes.pair_cace.Potential
