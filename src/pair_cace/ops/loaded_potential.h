// A whole model out of the modules of an exported file: the potential of potential.h with the embeddings and E0 of the
// elements, and repulsion.
#pragma once

#include "potential.h"
#include "repulsion.h"

#include <optional>

namespace torch::jit {
struct Module;
}

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
  // The names of modules and weights are those of python/pair_cace/nn: they are the format of exported files, with
  // its version in model_format.h. Raises c10::Error if they are not there, or do not fit each other.
  explicit LoadedPotential(const torch::jit::Module &module);

  // Energies (n_atoms,) float64 in eV, with E0, and their gradient by the vectors, (E, 3) of the precision of the model.
  std::tuple<Tensor, Tensor> evaluate(const EdgeTensors &edges, GhostExchange *exchange) const;

  // Invariants, (n_atoms, n_radial, N_B, C, T+1).
  Tensor features(const EdgeTensors &edges, GhostExchange *exchange) const;

 private:
  Surroundings surroundings(const EdgeTensors &edges) const;

  Tensor sender_, receiver_;    // (119, K) embeddings by atomic number; NaN for what the model does not know
  Tensor E0_;                   // (119,) float64 eV
  std::optional<Repulsion> repulsion_;
  std::unique_ptr<Potential> potential_;
};

}    // namespace pair_cace
