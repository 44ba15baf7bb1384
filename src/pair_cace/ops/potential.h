// A model as the kernels evaluate it: from edges to energies and their gradient in one call, on a CPU or a GPU. Its
// weights are read once and kept in the order that kernels want. It knows nothing of LAMMPS, and of elements only their
// embeddings; what it does not know, E0 and repulsion, is added by loaded_potential.h.
#pragma once

#include "ghost_exchange.h"
#include "model_weights.h"

#include <memory>
#include <tuple>

namespace pair_cace {

// What is evaluated. Tensors are contiguous and where the model is, `vectors` and embeddings of its precision.
struct Surroundings {
  Tensor vectors;               // (E, 3) Å, 0 < length; those beyond the cutoff add nothing
  Tensor senders, receivers;    // (E,) int64
  Tensor first_edge;    // (n_atoms + 1,) int64: those of receiver i are first_edge[i] … first_edge[i + 1] − 1; then
                        // nobody looks up whether indices are in range. Undefined: any order, and somebody looks
  Tensor sender, receiver;    // (N, K) θ and (n_atoms, K) θ', or with free mixing (n_atoms, P) ρ; rows from n_atoms on
                              // only send
  Tensor species;             // (N,) int64 atomic numbers

  int64_t n_atoms() const { return receiver.size(0); }
  int64_t n_senders() const { return sender.size(0); }
};

class [[gnu::visibility("default")]] Potential {
 public:
  virtual ~Potential() = default;

  // Raises c10::Error if weights are not there, or do not fit each other.
  static std::unique_ptr<Potential> of(const NamedWeights &weights);

  // The most numbers of an atom that ghosts are told at once, where that may be more than the file of a model says, for
  // rows are filled up to whole vectors; otherwise 0.
  virtual int64_t values_per_ghost() const = 0;

  // Energies (n_atoms,) without E0, and the gradient of their sum by vectors, (E, 3). `exchange` tells messages to
  // ghosts; null: every sender has a row of its own, or there are no messages. Raises c10::Error if shapes do not fit.
  virtual std::tuple<Tensor, Tensor> evaluate(const Surroundings &atoms, GhostExchange *exchange) const = 0;

  // Invariants of every layer, (n_atoms, n_radial, N_B, C, T+1).
  virtual Tensor features(const Surroundings &atoms, GhostExchange *exchange) const = 0;
};

// Whether there are kernels for a model where its weights are.
[[gnu::visibility("default")]] bool has_kernels(const NamedWeights &weights);

// Of a model whose channels are mixed freely (free_weights.h); on a CPU.
std::unique_ptr<Potential> free_potential(const NamedWeights &weights);

// Raises c10::Error unless the tensors fit each other and `like`, a weight.
void check_surroundings(const Surroundings &atoms, const Tensor &like, int64_t n_basis, int64_t n_of_receiver,
                        bool has_messages, bool exchanges);

}    // namespace pair_cace
