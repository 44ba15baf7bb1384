"""Energies that free atoms typically have, by kind of calculation; to tell elements apart where data do not.

Total energies of all electrons follow the statistical atom,

    −E(Z) = 0.768745 Z^(7/3) − Z²/2 + 0.269900 Z^(5/3)  hartree

(Englert and Schwinger, Phys. Rev. A 32, 26, 1985), those of valence electrons alone, as with
pseudopotentials, Slater's rules (Slater, Phys. Rev. 36, 57, 1930): −E = Σ 13.6 eV (Z_eff / n*)².
"""

from __future__ import annotations

import numpy as np
from ase.units import Hartree, Rydberg

# Shells n, l in the order in which they are filled (Madelung).
_SHELLS = [(n, l) for n in range(1, 8) for l in range(min(n, 4))]
_FILLED = sorted(_SHELLS, key=lambda shell: (sum(shell), shell))
_EFFECTIVE_N = {1: 1.0, 2: 2.0, 3: 3.0, 4: 3.7, 5: 4.0, 6: 4.2, 7: 4.3}


def all_electrons(z: int) -> float:
    """Total energy of a free atom, eV."""
    return -Hartree * (0.768745 * z ** (7 / 3) - z**2 / 2 + 0.269900 * z ** (5 / 3))


def valence_electrons(z: int) -> float:
    """Energy of the valence electrons of a free atom, eV: all outside of the last noble gas, but for
    shells of d and f electrons that p electrons have been added to."""
    occupied, left = [], z
    for n, l in _FILLED:
        if left == 0:
            break
        occupied.append((n, l, min(left, 4 * l + 2)))
        left -= occupied[-1][2]
    noble = max((k for k, shell in enumerate(occupied[:-1]) if _closes(shell)), default=-1)
    valence = occupied[noble + 1 :]
    if any(l == 1 for _, l, _ in valence):
        valence = [shell for shell in valence if shell[1] < 2]
    return -Rydberg * sum(
        count * ((z - _screening(n, l, occupied)) / _EFFECTIVE_N[n]) ** 2 for n, l, count in valence
    )


def _closes(shell: tuple[int, int, int]) -> bool:
    n, l, count = shell
    return (l == 1 and count == 6) or n == 1


def _screening(n: int, l: int, occupied: list[tuple[int, int, int]]) -> float:
    """Of one electron of the shell, by all others (Slater's rules)."""
    total = -0.30 if n == 1 else -0.35  # itself
    for other_n, other_l, count in occupied:
        if other_n == n and (other_l == l or max(other_l, l) < 2):  # s and p are one group
            total += count * (0.30 if n == 1 else 0.35)
        elif other_n < n or (other_n == n and other_l < l):
            outer = l < 2 and other_n == n - 1
            total += count * (0.85 if outer else 1.0)
    return total


def typical(numbers: list[int], shares: np.ndarray, energies: np.ndarray) -> np.ndarray:
    """(elements,) eV: of the kinds of energies above, and none at all, that nearest to the data.

    shares     (S, elements) of every element in a structure
    energies   (S,) eV/atom
    """
    kinds = [np.array([kind(z) for z in numbers]) for kind in (all_electrons, valence_electrons)]
    kinds.append(np.zeros(len(numbers)))
    errors = [np.abs(shares @ kind - energies).sum() for kind in kinds]
    return kinds[int(np.argmin(errors))]
