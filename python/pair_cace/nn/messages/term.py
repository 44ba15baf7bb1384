"""What a term of a message is, and the names of all terms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from ...registry import Registry
from ..edges import Atoms

if TYPE_CHECKING:
    from ..hyperparameters import ModelShape

MESSAGES: Registry[type["MessageTerm"]] = Registry("message term")


class MessageTerm(nn.Module):
    """A term of A of the next layer: A^(t+1) = Σ_terms (Eq. 11-15).

    A term that travels has two methods, which TorchScript compiles:

        tell(self, basis, invariants, atoms) -> Tensor
            What atoms say of themselves, (n_atoms, …), from their A (n_atoms, n_radial, N_l, C), B (n_atoms,
            n_radial, N_B, C) and ``Atoms``. Other MPI ranks are told so as well; one that has no atoms takes
            part with empty tensors, which must depend on A or B as well: there is a way back.
        gather(self, told, edges, atoms, mixing_weight) -> Tensor
            (n_atoms, n_radial, N_l, C) from what all senders have said, (N, …), the ``Edges`` and ``Atoms``, and
            the mixing weights of layer 0 (L+1, n_rbf, n_radial, C). It is divided by sqrt(avg_num_neighbors).

    A term of the atom alone has ``forward(self, basis) -> Tensor`` instead, and is not divided.
    Both are decorated with ``torch.jit.export``, except for ``forward``.

    A term with kernels may have one more, for training (what `lmp` runs is src/pair_cace/ops/message.h):

        weigh(self, invariants, atoms) -> Tensor
            Weights of the edges in the neighbour sum of layer 0, (n_atoms, L+1 or 1, C or K); instead of tell.
        gather_by_kernels(self, told, geometry, norm) -> Tensor
            ``norm`` times what ``gather`` gives, from the ``Geometry`` of the edges, for all senders. Without the
            decorator: portable models must not have it.
    """

    # TorchScript shares the class of terms that differ in no constant, and with it the methods: our
    # operations would end up in portable models.
    __constants__ = ["portable", "compiled"]
    has_kernels = False  # whether `lmp` has kernels for it
    has_kernels_with_free_mixing = (
        False  # whether it has them (on a CPU) between freely mixed channels
    )
    has_operations = (
        False  # whether it trains beside compiled operations, with or without such kernels
    )
    takes_basis = True  # whether it is made of A
    takes_edges = False  # whether it has no gather_by_kernels, but takes the ``Edges`` without their ``basis``
    goes_with_free_mixing = False  # whether it does without the mixing weights of layer 0
    member = ""  # its name in a layer, if that is not the registered one in lower case

    def __init__(self, settings: "ModelShape"):
        super().__init__()
        self.portable, self.compiled = False, True

    @staticmethod
    def values_per_ghost(settings: "ModelShape") -> int:
        """How many numbers an atom tells."""
        return 0

    def start(self, basis: Tensor, invariants: Tensor, atoms: Atoms) -> None:
        """Make what a new model tells of a suitable size, on a sample of the data."""

    def divide(self, norms: Tensor) -> None:
        """Make what is gathered smaller by (L+1, n_radial, C); a new model starts with messages of size 1."""


def member_name(kind: str) -> str:
    """What a term is called in a layer, and in the names of its weights."""
    return MESSAGES[kind].member or kind.lower()
