// Ziegler-Biersack-Littmark repulsion at short range; the formula is that of nn/zbl.py.
#pragma once

#include "potential.h"

namespace pair_cace {

struct Repulsion {
  double cutoff = 0.0;    // Å
  int exponent = 0;       // of the polynomial that switches it off
};

// Energies (n_atoms,) float64 in eV. Their derivatives by the vectors are added to `gradient` (E, 3). `species` (N,) are
// atomic numbers.
Tensor repulsion_energies(const Repulsion &repulsion, const Surroundings &atoms, const Tensor &species,
                          const Tensor &gradient);

}    // namespace pair_cace
