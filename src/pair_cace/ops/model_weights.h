// The weights of a model as torch.ops.pair_cace.evaluate is given them, and what the kernels need of them.
#pragma once

#include "torch_glue.h"

#include <vector>

namespace pair_cace {

using Tensors = std::vector<Tensor>;

// Of one message layer; what is not defined, or empty, is not there.
struct MessageWeights {
  Tensors network;            // Bchi: weights and biases
  Tensor amplitude, decay;    // Ar, (n_radial, L+1, C); the amplitude includes the norm
  Tensor memory;              // M, (n_radial, L+1, C)

  bool passes_basis() const { return amplitude.defined() || memory.defined(); }
};

struct ModelWeights {
  Basis basis;
  Tensor sender, receiver, frequencies, mixing;
  Tensors readout, linear;
  std::vector<MessageWeights> messages;
  int64_t nu_max, n_degrees;
  double norm;    // of messages

  int64_t n_basis() const { return sender.size(1); }
  int64_t n_channels() const { return n_basis() * n_basis(); }
  int64_t n_radial() const { return mixing.size(2); }
  int64_t n_layers() const { return static_cast<int64_t>(messages.size()); }
  int64_t n_invariants() const { return number_of_invariants(basis.l_max, static_cast<int>(nu_max)); }
  bool has_network(int64_t t) const { return t < n_layers() && !messages[t].network.empty(); }
  int64_t n_readout() const { return readout[0].size(0) + (linear.empty() ? 0 : 1); }

  // Columns of the weights of Bchi messages: one for every channel, or for every s if h has no channels.
  int64_t n_columns(int64_t t) const
  {
    const Tensors &network = messages[t].network;
    if (network.empty()) return 0;
    return network.back().size(0) == n_degrees ? n_basis() : n_channels();
  }

  // Weights of all dense layers that take the invariants of layer t, (C, n_radial, N_B, outputs), and
  // their biases.
  Tensor dense_weights(int64_t t) const;
  Tensor dense_biases(int64_t t) const;
  template <class Real> Tensor arranged_weights(int64_t t) const;

  // Raises c10::Error unless all shapes fit each other and n_atoms receivers.
  void check(int64_t n_atoms) const;
};

// A network behind its first dense layer; none if there is none.
template <class Real> class TailOf {
 public:
  explicit TailOf(at::TensorList network)
  {
    if (network.empty()) return;
    tail_.n_in = static_cast<int>(network[0].size(0));
    for (size_t k = 2; k < network.size(); ++k) kept_.push_back(network[k].contiguous());
    for (size_t k = 0; k < kept_.size(); k += 2)
      dense_.push_back({static_cast<int>(kept_[k].size(1)), static_cast<int>(kept_[k].size(0)), data_of<Real>(kept_[k]),
                        data_of<Real>(kept_[k + 1])});
  }

  Tail<Real> tail() const
  {
    Tail<Real> tail = tail_;
    tail.n_dense = static_cast<int>(dense_.size());
    tail.dense = dense_.data();
    return tail;
  }

 private:
  Tail<Real> tail_;
  Tensors kept_;
  std::vector<Dense<Real>> dense_;
};

}    // namespace pair_cace
