"""The equations of a CACE model in plain loops over numbers, to check the vectorised model against.

Written from the equations of the paper alone; shares nothing with pair_cace.nn but the names of the
weights.
"""

from __future__ import annotations

from itertools import product
from math import exp, factorial, sin, sqrt

import numpy as np


def vectors_of_degree(l):
    found = [v for v in product(range(l + 1), repeat=3) if sum(v) == l]
    return sorted(found, reverse=True)


def weight(v):
    return factorial(sum(v)) / (factorial(v[0]) * factorial(v[1]) * factorial(v[2]))


def plus(a, b):
    return tuple(x + y for x, y in zip(a, b))


def invariants(A, L, nu_max):
    """A: {vector: value}; returns the list of B for one radial function and channel."""
    B = [A[(0, 0, 0)]]
    if nu_max >= 2:
        for l in range(1, L + 1):
            B.append(sum(weight(v) * A[v] ** 2 for v in vectors_of_degree(l)))
    if nu_max >= 3:
        for l1 in range(1, L + 1):
            for l2 in range(l1, L + 1):
                if l1 + l2 > L:
                    continue
                B.append(
                    sum(
                        weight(a) * weight(b) * A[a] * A[b] * A[plus(a, b)]
                        for a in vectors_of_degree(l1)
                        for b in vectors_of_degree(l2)
                    )
                )
    if nu_max >= 4:
        for l1, l2, d in product(range(1, L + 1), repeat=3):
            if l1 >= l2 or l2 + d > L:
                continue
            B.append(
                sum(
                    weight(a) * weight(b) * weight(c) * A[a] * A[b] * A[plus(a, c)] * A[plus(b, c)]
                    for a in vectors_of_degree(l1)
                    for b in vectors_of_degree(l2)
                    for c in vectors_of_degree(d)
                )
            )
    return B


def perceptron(weights, prefix, values):
    layer = 0
    while f"{prefix}.{layer}.weight" in weights:
        values = weights[f"{prefix}.{layer}.weight"] @ values + weights[f"{prefix}.{layer}.bias"]
        layer += 2
        if f"{prefix}.{layer}.weight" in weights:
            values = values / (1 + np.exp(-values))
    return values


def features(settings, weights, edges, species):
    """[N, n_radial, N_B, C, T+1]; edges are (sender, receiver, vector), species element indices."""
    L, K, N = settings.l_max, settings.n_atom_basis, len(species)
    C, p, rc = K * K, settings.cutoff_exponent, settings.cutoff
    n_rbf, n_radial = settings.n_rbf, settings.n_radial
    angular = [v for l in range(L + 1) for v in vectors_of_degree(l)]
    theta = weights["sender_embedding.weight"]
    theta_receiver = weights.get("receiver_embedding.weight", theta)
    omega = weights["radial.frequencies"]

    def envelope(r):
        x = r / rc
        return (
            1 - (p + 1) * (p + 2) / 2 * x**p + p * (p + 2) * x ** (p + 1)
            - p * (p + 1) / 2 * x ** (p + 2)
        )  # fmt: skip

    def edge_sum(edge_weight):
        """Σ R f û^l θ_j θ'_i · edge_weight(j, l, c), then mixed; [N][n'][c] -> {vector: value}."""
        raw = np.zeros((N, n_rbf, len(angular), C))
        for j, i, vector in edges:
            r = sqrt(sum(vector**2))
            unit = vector / (r + 1e-9)
            for n, (k, v), s, q in product(range(n_rbf), enumerate(angular), range(K), range(K)):
                radial = sqrt(2 / rc) * sin(omega[n] * r) / r * envelope(r)
                direction = unit[0] ** v[0] * unit[1] ** v[1] * unit[2] ** v[2]
                channel = theta[species[j], s] * theta_receiver[species[i], q]
                raw[i, n, k, s * K + q] += (
                    radial * direction * channel * edge_weight(j, sum(v), s * K + q)
                )
        W = weights["atomic_basis.mixing_weight"]
        mixed = np.zeros((N, n_radial, len(angular), C))
        for m, (k, v), c, n in product(range(n_radial), enumerate(angular), range(C), range(n_rbf)):
            mixed[:, m, k, c] += raw[:, n, k, c] * W[sum(v), n, m, c]
        return mixed

    def all_invariants(A):
        rows = [
            [
                [
                    invariants(
                        {v: A[i, m, k, c] for k, v in enumerate(angular)}, L, settings.nu_max
                    )
                    for c in range(C)
                ]
                for m in range(n_radial)
            ]
            for i in range(N)
        ]
        return np.array(rows).transpose(0, 1, 3, 2)  # [N, n_radial, N_B, C]

    A = edge_sum(lambda j, l, c: 1.0)
    layers = [all_invariants(A)]
    for t in range(settings.n_layers):
        new = np.zeros_like(A)
        if "Ar" in settings.messages:
            a, b = weights[f"layers.{t}.ar.amplitude"], weights[f"layers.{t}.ar.decay"]
            for j, i, vector in edges:
                r = sqrt(sum(vector**2))
                for m, (k, v), c in product(range(n_radial), enumerate(angular), range(C)):
                    l = sum(v)
                    fading = a[m, l, c] * exp(-b[m, l, c] * r) * envelope(r)
                    new[i, m, k, c] += fading * A[j, m, k, c]
        if "Bchi" in settings.messages:
            h = np.array(
                [
                    perceptron(weights, f"layers.{t}.bchi.network", layers[-1][j].ravel())
                    for j in range(N)
                ]
            ).reshape(N, L + 1 if settings.bchi_per_l else 1, C if settings.bchi_per_channel else 1)
            new += edge_sum(
                lambda j, l, c: h[
                    j, l if settings.bchi_per_l else 0, c if settings.bchi_per_channel else 0
                ]
            )
        new /= sqrt(settings.avg_num_neighbors)
        if "M" in settings.messages:
            memory = weights[f"layers.{t}.memory.weight"]
            for k, v in enumerate(angular):
                new[:, :, k, :] += memory[:, sum(v), :] * A[:, :, k, :]
        A = new
        layers.append(all_invariants(A))
    return np.stack(layers, axis=-1)


def repulsion(settings, edges, numbers):
    """Half of the screened repulsion of every edge, by receiver."""
    found = np.zeros(len(numbers))
    for j, i, vector in edges:
        r = sqrt(sum(vector**2))
        if settings.zbl_cutoff is None or r >= settings.zbl_cutoff:
            continue
        a = 0.46850 / (numbers[i] ** 0.23 + numbers[j] ** 0.23)
        terms = [(0.18175, 3.19980), (0.50986, 0.94229), (0.28022, 0.40290), (0.02817, 0.20162)]
        screening = sum(c * exp(-d * r / a) for c, d in terms)
        x = r / settings.zbl_cutoff
        switch = 1 - 28 * x**6 + 48 * x**7 - 21 * x**8
        found[i] += 0.5 * 14.399645 * numbers[i] * numbers[j] / r * screening * switch
    return found


def energies(settings, weights, all_features, species):
    found = []
    for atom, z in zip(all_features, species):
        x = atom.ravel()
        energy = weights["elements.E0"][z] + perceptron(weights, "readout.network", x)[0]
        if settings.readout_linear:
            energy += (weights["readout.linear.weight"] @ x + weights["readout.linear.bias"])[0]
        found.append(energy)
    return np.array(found)
