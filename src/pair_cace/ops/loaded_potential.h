// A whole model out of its weights by name: the potential of potential.h with the embeddings and E0 of the elements, and
// repulsion.
#pragma once

#include "potential.h"
#include "repulsion.h"

#include <optional>

namespace pair_cace {

// Edges as whoever has a whole model gives them, where the model is.
struct EdgeTensors {
  Tensor vectors;                           // (E, 3) Å, of any precision
  Tensor senders, receivers, first_edge;    // as in Surroundings
  Tensor species;                           // (N,) int64 atomic numbers, of which the first n_atoms receive
  int64_t n_atoms = 0;
};

class [[gnu::visibility("default")]] LoadedPotential {
 public:
  // Raises c10::Error if weights are not there, or do not fit each other.
  explicit LoadedPotential(const NamedWeights &weights);

  // Energies (n_atoms,) float64 in eV, with E0, and their gradient by the vectors, (E, 3) of the precision of the model.
  std::tuple<Tensor, Tensor> evaluate(const EdgeTensors &edges, GhostExchange *exchange) const;

  // Invariants, (n_atoms, n_radial, N_B, C, T+1).
  Tensor features(const EdgeTensors &edges, GhostExchange *exchange) const;

  int64_t values_per_ghost() const { return potential_->values_per_ghost(); }    // the most that are told at once

 private:
  Surroundings surroundings(const EdgeTensors &edges) const;

  Tensor sender_, receiver_;    // (119, K) embeddings by atomic number; NaN for what the model does not know
  Tensor E0_;                   // (119,) float64 eV
  std::optional<Repulsion> repulsion_;
  std::unique_ptr<Potential> potential_;
};

}    // namespace pair_cace
