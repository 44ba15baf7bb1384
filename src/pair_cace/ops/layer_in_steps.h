// What kernels/layer.h does in one go, in steps, for kernels that have no whole layers (those for CUDA): neighbour sum,
// invariants, dense layers by torch's matrix products, and back, for some atoms at a time, so that memory is
// bounded. Between the steps lie, per atom: raw, B and their gradients.
#pragma once

#include "model_weights.h"

namespace pair_cace {

// Of layer t, all atoms; what is undefined is not there, or not wanted. Shapes as in kernels/kernels.h, Layer.
struct LayerTensors {
  Tensor raw;           // undefined in the last layer
  Tensor invariants;    // (N, n_radial N_B C); undefined: nobody wants them all
  Tensor totals, grad_totals, energies, message_inputs, next_weights, grad_next_weights;
  Tensor sender;    // (N, K) θ of the receivers
};

template <class Real> class LayerInSteps {
 public:
  // Atoms begin … end − 1 of layer t. `weight` and `bias` are those of all dense layers that take its invariants,
  // (outputs, features) and (outputs,).
  LayerInSteps(const ModelWeights &model, int64_t t, const Layer<Real> &layer, const LayerTensors &tensors,
               const Tensor &weight, const Tensor &bias, int64_t begin, int64_t end);

  // As the functions of the same names of LayerEvaluation.
  void values();
  void values_and_gradients();
  void gradients();

 private:
  Tensor outputs();    // of the first dense layers
  void add_gradients(const Tensor &grad_outputs, bool adds_to_vectors);
  Tensor mine(const Tensor &table) const { return table.slice(0, begin_, begin_ + n_); }
  Tensor place_of_raw() const;

  const ModelWeights &model_;
  int64_t t_, begin_, n_;
  Layer<Real> layer_;    // these atoms are 0 … n − 1 in it
  const LayerTensors &tensors_;
  Tensor weight_, bias_, raw_;
};

}    // namespace pair_cace
