// The seam between LAMMPS and the model: edge vectors go in, energies and edge gradients come out.
// Knows neither LAMMPS nor torch. Signs and units as in ops/edge_forces.h.
#pragma once

#include <cstdint>
#include <vector>

namespace pair_cace {

// Atoms are numbered by row. The first n_atoms rows receive edges and have an energy; rows behind
// them, if any, only send (ghost atoms of a model without message passing).
struct EdgeList {
  int64_t n_atoms = 0;
  std::vector<int64_t> species;      // (rows,)  atomic number
  std::vector<int64_t> senders;      // (E,)     row of the sender
  std::vector<int64_t> receivers;    // (E,)     row of the receiver, < n_atoms
  std::vector<double> vectors;       // (E, 3)   r_receiver − r_sender, 0 < length < cutoff

  int64_t n_edges() const { return static_cast<int64_t>(senders.size()); }
  int64_t n_rows() const { return static_cast<int64_t>(species.size()); }

  void clear()
  {
    n_atoms = 0;
    species.clear();
    senders.clear();
    receivers.clear();
    vectors.clear();
  }
};

struct Evaluation {
  std::vector<double> energies;         // (n_atoms,) eV
  std::vector<double> edge_gradient;    // (E, 3)     ∂E/∂r_e, eV/Å
};

}    // namespace pair_cace
