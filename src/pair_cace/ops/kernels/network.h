// A small network on as many atoms as there are lanes.
#pragma once

#include "kernels.h"
#include "simd.h"

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

// 1 / (1 + exp(−x))
template <class V> inline V sigmoid(V x)
{
  const V e = exponential(x < 0 ? x : -x);
  return (x < 0 ? e : broadcast(RealOf<V>(1))) / (1 + e);
}

// SiLU, x σ(x), and its derivative.
template <class V> inline void silu(V x, V &value, V &slope)
{
  const V s = sigmoid(x);
  value = x * s;
  slope = s * (1 + x * (1 - s));
}

template <class V> class TailEvaluation {
  using Real = RealOf<V>;

 public:
  explicit TailEvaluation(const Tail<Real> &tail)
      : tail_(tail), activations_(total()), slopes_(total()), outputs_(tail.n_out()), gradients_(total())
  {
  }

  // (n_out,) from inputs (n_in,)
  const V *values(const V *inputs)
  {
    V *activations = activations_.data(), *slopes = slopes_.data();
    const V *x = inputs;
    for (int d = 0; d < tail_.n_dense; ++d) {
      const Dense<Real> &dense = tail_.dense[d];
      for (int k = 0; k < dense.n_in; ++k) silu(x[k], activations[k], slopes[k]);
      V *y = d + 1 < tail_.n_dense ? activations + dense.n_in : outputs_.data();
      for (int o = 0; o < dense.n_out; ++o) {
        V sum = broadcast(dense.bias[o]);
        for (int k = 0; k < dense.n_in; ++k) sum += dense.weight[o * dense.n_in + k] * activations[k];
        y[o] = sum;
      }
      x = y;
      activations += dense.n_in;
      slopes += dense.n_in;
    }
    return x;
  }

  // Gradient by the inputs (n_in,) of the last `values`, from that by the outputs.
  const V *gradient(const V *grad_outputs)
  {
    int end = total();
    const V *grad = grad_outputs;
    for (int d = tail_.n_dense - 1; d >= 0; --d) {
      const Dense<Real> &dense = tail_.dense[d];
      end -= dense.n_in;
      V *by_inputs = gradients_.data() + end;
      for (int k = 0; k < dense.n_in; ++k) {
        V sum{};
        for (int o = 0; o < dense.n_out; ++o) sum += dense.weight[o * dense.n_in + k] * grad[o];
        by_inputs[k] = sum * slopes_[end + k];
      }
      grad = by_inputs;
    }
    return grad;
  }

 private:
  int total() const
  {
    int n = 0;
    for (int d = 0; d < tail_.n_dense; ++d) n += tail_.dense[d].n_in;
    return n;
  }

  const Tail<Real> &tail_;
  Scratch<V> activations_, slopes_;    // of all dense layers, one behind the other
  Scratch<V> outputs_, gradients_;
};

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
