// Gates of what atoms say, and the activation between dense layers; one column per lane.
#pragma once

#include "free_kernels.h"
#include "network.h"

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

// 2σ(x) and its derivative.
template <class V> inline void gate(V x, V &value, V &slope)
{
  const V s = sigmoid(x);
  value = 2 * s;
  slope = value * (1 - s);
}

// Places of the parts of a row of `said`, and of what is told.
template <class Real> struct GateRows {
  explicit GateRows(const Gates<Real> &task)
      : M(task.M), scalar_gates(M), vector_gates(task.has_scalars ? 2 * M : 0), linear(task.n_linear()),
        told_vectors(task.has_scalars ? M : 0)
  {
  }

  int M, scalar_gates, vector_gates, linear, told_vectors;
};

template <class V> void gates(const Gates<RealOf<V>> &task, int64_t begin, int64_t end)
{
  using Real = RealOf<V>;
  const GateRows<Real> place(task);
  for (int64_t atom = begin; atom < end; ++atom) {
    const Real *said = task.said + atom * task.width();
    Real *told = task.told + atom * task.n_said() * place.M;
    V value, slope;
    for (int m = 0; m < place.M; m += lanes_of<Real>) {
      if (task.has_scalars) {
        gate(load(said + place.scalar_gates + m), value, slope);
        store(told + m, load(said + m) * value);
      }
      if (!task.has_vectors) continue;
      gate(load(said + place.vector_gates + m), value, slope);
      for (int a = 0; a < 3; ++a)
        store(told + place.told_vectors + a * place.M + m, load(said + place.linear + a * place.M + m) * value);
    }
  }
}

template <class V> void gates_gradient(const Gates<RealOf<V>> &task, int64_t begin, int64_t end)
{
  using Real = RealOf<V>;
  const GateRows<Real> place(task);
  for (int64_t atom = begin; atom < end; ++atom) {
    const Real *said = task.said + atom * task.width();
    const Real *grad = task.grad_told + atom * task.n_said() * place.M;
    Real *to = task.grad_said + atom * task.width();
    V value, slope;
    for (int m = 0; m < place.M; m += lanes_of<Real>) {
      if (task.has_scalars) {
        gate(load(said + place.scalar_gates + m), value, slope);
        store(to + m, load(grad + m) * value);
        store(to + place.scalar_gates + m, load(grad + m) * load(said + m) * slope);
      }
      if (!task.has_vectors) continue;
      gate(load(said + place.vector_gates + m), value, slope);
      V by_gate{};
      for (int a = 0; a < 3; ++a) {
        const V g = load(grad + place.told_vectors + a * place.M + m);
        by_gate += g * load(said + place.linear + a * place.M + m);
        store(to + place.linear + a * place.M + m, g * value);
      }
      store(to + place.vector_gates + m, by_gate * slope);
    }
  }
}

template <class V> void activation(const Activation<RealOf<V>> &task, int64_t begin, int64_t end)
{
  for (int64_t k = begin; k < end; k += lanes_of<RealOf<V>>) {
    V value, slope;
    silu(load(task.x + k), value, slope);
    store(task.value + k, value);
    store(task.slope + k, slope);
  }
}

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
