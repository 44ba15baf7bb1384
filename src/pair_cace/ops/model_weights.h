// The weights of a model, as kernels and matrix products want them.
#pragma once

#include "message.h"

namespace pair_cace {

struct MessageLayerWeights {
  Tensors network;      // Bchi: weights and biases; empty: no such message
  Messages of_basis;    // those that are made of A
};

// All tensors are contiguous, of one precision, and where the model is.
struct ModelWeights {
  // Raises c10::Error unless all are there.
  static ModelWeights of(const NamedWeights &weights);

  Basis basis;
  int64_t n_basis = 0;           // K
  Tensor frequencies, mixing;    // (n_rbf,) 1/Å and (L+1, n_rbf, n_radial, C)
  Tensors readout, linear;       // weights and biases
  std::vector<MessageLayerWeights> messages = {};
  int64_t nu_max = 0, n_degrees = 1;
  double norm = 1.0;    // of messages

  int64_t n_channels() const { return n_basis * n_basis; }
  int64_t n_radial() const { return mixing.size(2); }
  int64_t n_layers() const { return static_cast<int64_t>(messages.size()); }
  int64_t n_invariants() const { return number_of_invariants(basis.l_max, static_cast<int>(nu_max)); }
  bool has_network(int64_t t) const { return t < n_layers() && !messages[t].network.empty(); }
  bool passes_basis(int64_t t) const { return 0 <= t && t < n_layers() && !messages[t].of_basis.empty(); }
  int64_t n_readout() const { return readout[0].size(0) + (linear.empty() ? 0 : 1); }

  // Columns of the weights of Bchi messages: one for every channel, or for every s if h has no channels.
  int64_t n_columns(int64_t t) const
  {
    const Tensors &network = messages[t].network;
    if (network.empty()) return 0;
    return network.back().size(0) == n_degrees ? n_basis : n_channels();
  }

  // Weights of all dense layers that take the invariants of layer t: (C, n_radial, N_B, outputs) for kernels of
  // whole layers, (outputs, n_radial N_B C) for matrix products; and their biases.
  Tensor dense_weights(int64_t t) const;
  Tensor stacked_weights(int64_t t) const;
  Tensor dense_biases(int64_t t) const;

  // Raises c10::Error unless all shapes and precisions fit each other.
  void check() const;

 private:
  template <class Real> Tensor arranged_weights(int64_t t) const;
};

}    // namespace pair_cace
