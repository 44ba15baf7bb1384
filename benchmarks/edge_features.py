"""The model as the first implementations of CACE compute it: every edge carries its whole feature.

Plain torch over tensors of shape (edges, n_rbf, N_l, C), where ``pair_cace.nn`` leaves the factor of the
receiver out of the sum. Kept here to be measured against, and for nothing else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from unittest import mock

from pair_cace.nn import atomic_basis, messages
from pair_cace.nn.atomic_basis import sum_over_neighbors
from pair_cace.nn.edges import Edges
from torch import Tensor


def edge_feature_sum(edges: Edges, sender_weights: Tensor, receiver_embedding: Tensor) -> Tensor:
    """As ``weighted_neighbor_sum``, by way of χ_{e,n,𝐥,(s,q)} of every edge."""
    n_atoms, n_basis = receiver_embedding.shape
    of_sender = sender_weights.index_select(0, edges.senders).unflatten(-1, [n_basis, -1])
    of_receiver = receiver_embedding.index_select(0, edges.receivers)  # (E, q)
    by_pair = (of_sender * of_receiver[:, None, None, :]).flatten(-2).unsqueeze(1)
    return sum_over_neighbors(edges.basis.unsqueeze(-1) * by_pair, edges.receivers, n_atoms)


@contextlib.contextmanager
def edge_features() -> Iterator[None]:
    """Inside, models with ``choose(compiled=False)`` go that way."""
    name = "weighted_neighbor_sum"
    with (
        mock.patch.object(atomic_basis, name, edge_feature_sum),
        mock.patch.object(messages, name, edge_feature_sum),
    ):
        yield
