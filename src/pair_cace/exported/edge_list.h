// The seam between LAMMPS and the model: edge vectors go in, energies and edge gradients come out.
// Knows neither LAMMPS nor torch. Signs and units as in ops/edge_forces.h.
#pragma once

#include <cstdint>
#include <vector>

namespace pair_cace {

// Atoms are numbered by row. The first n_atoms rows receive edges and have an energy; rows behind
// them, if any, only send (ghost atoms of a model without message passing).
struct EdgeList {
  int64_t n_atoms = 0, n_edges = 0;
  std::vector<int64_t> species;         // (rows,)         atomic number
  std::vector<int64_t> senders;         // (E or more,)    row of the sender
  std::vector<int64_t> receivers;       // (E or more,)    row of the receiver, < n_atoms, ascending
  std::vector<double> vectors;          // (E or more, 3)  r_receiver − r_sender, 0 < length < cutoff
  std::vector<int64_t> first_of_row;    // scratch of whoever fills the list

  int64_t n_rows() const { return static_cast<int64_t>(species.size()); }
};

struct Evaluation {
  std::vector<double> energies;         // (n_atoms or more,) eV
  std::vector<double> edge_gradient;    // (E or more, 3)     ∂E/∂r_e, eV/Å
};

// Room for n values, and some more if it has to grow: from step to step it rarely does.
template <class Value> void make_room(std::vector<Value> &values, int64_t n)
{
  if (static_cast<int64_t>(values.size()) < n) values.resize(n + n / 16);
}

}    // namespace pair_cace
