// What kernels/layer.h does in one go, in steps, for kernels that have no whole layers (those for CUDA): neighbour sum,
// invariants, dense layers by torch's matrix products, and back, for some atoms at a time, so that memory is
// bounded. Between the steps lie, per atom: raw, B and their gradients.
#pragma once

#include "model_weights.h"

namespace pair_cace {

// Of layer t, all atoms; what is undefined is not there. Shapes as in kernels/kernels.h, Layer.
struct LayerTensors {
  Tensor raw;    // null in the last layer
  Tensor totals, grad_totals, energies, message_inputs, next_weights, grad_next_weights;
  Tensor sender;    // (N, K) θ of the receivers
};

template <class Real> class LayerInChunks {
 public:
  LayerInChunks(const ModelWeights &model, int64_t t, const Layer<Real> &layer, const LayerTensors &tensors);

  // As the functions of the same names of LayerEvaluation, for atoms begin … end − 1.
  void values(int64_t begin, int64_t end);
  void values_and_gradients(int64_t begin, int64_t end);
  void gradients(int64_t begin, int64_t end);

 private:
  // Outputs of the first dense layers.
  Tensor outputs(int64_t begin, int64_t end);
  void add_gradients(int64_t begin, int64_t end, const Tensor &grad_outputs, bool adds_to_vectors);
  Tensor place_of_raw(int64_t begin, int64_t end) const;

  const ModelWeights &model_;
  int64_t t_;
  Layer<Real> layer_;
  LayerTensors tensors_;
  Tensor weight_, bias_;    // of all dense layers that take the invariants, (outputs, features) and (outputs,)
  Tensor raw_;              // of the chunk
};

}    // namespace pair_cace
