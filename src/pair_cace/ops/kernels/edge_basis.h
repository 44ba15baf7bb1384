// The basis of one edge, χ_{𝐥,n} = R_n(r) f_c(r) û^𝐥, and its gradient: formulas once, for as many
// edges at a time as a vector has lanes (Eq. 2-4).
#pragma once

#include "radial_function.h"
#include "simd.h"
#include "transpose.h"

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

// Calls body with l known at compile time, so that the (l+1)(l+2)/2 sums of a degree stay in registers.
template <class Body> [[gnu::always_inline]] inline void at_degree(int l, const Body &body)
{
  switch (l) {
  case 0: return body(std::integral_constant<int, 0>());
  case 1: return body(std::integral_constant<int, 1>());
  case 2: return body(std::integral_constant<int, 2>());
  case 3: return body(std::integral_constant<int, 3>());
  case 4: return body(std::integral_constant<int, 4>());
  case 5: return body(std::integral_constant<int, 5>());
  case 6: return body(std::integral_constant<int, 6>());
  case 7: return body(std::integral_constant<int, 7>());
  case 8: return body(std::integral_constant<int, 8>());
  }
}

// Vector and length of a block of edges, one per lane.
template <class T> class EdgeVectors {
  using Real = RealOf<T>;
  using V = VectorOf<T>;
  static constexpr int lanes = lanes_of<Real>;

 public:
  T r[3], length;
  int n = 0;    // lanes in use; the others hold an edge beyond the cutoff

  // As many edges from `first` on as there are lanes, and before `end`.
  void load(const Input<Real> &vectors, const Grouping &groups, int64_t first, int64_t end, double cutoff)
  {
    n = lanes_in_use<Real>(end - first);
    V values[3], tangents[3] = {};
    read(vectors.value, groups, first, values);
    if (is_dual<T> && vectors.tangent) read(vectors.tangent, groups, first, tangents);
    values[0] = lane_numbers<V>() < Real(n) ? values[0] : broadcast(Real(2.0 * cutoff));
    for (int k = 0; k < 3; ++k)
      if constexpr (is_dual<T>)
        r[k] = {values[k], tangents[k]};
      else
        r[k] = values[k];
    length = root(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
  }

  void store_gradient(const T (&gradient)[3], const Grouping &groups, int64_t first, Real *to, bool adds = false) const
  {
    V results[3];
    for (int k = 0; k < 3; ++k) results[k] = result_of(gradient[k]);
    if (groups.order) {
      for (int e = 0; e < n; ++e)
        for (int k = 0; k < 3; ++k) {
          Real &at = to[3 * groups.edge(first + e) + k];
          at = adds ? at + results[k][e] : results[k][e];
        }
      return;
    }
    interleave(results);
    for (int k = 0; k < 3; ++k) {
      const FirstLanes<Real> used(3 * n - k * lanes);
      Real *at = to + 3 * first + k * lanes;
      used.store(at, adds ? used.load(at) + results[k] : results[k]);
    }
  }

 private:
  // Lanes that are not in use become 0.
  void read(const Real *from, const Grouping &groups, int64_t first, V (&to)[3]) const
  {
    for (int k = 0; k < 3; ++k) to[k] = V{};
    if (groups.order) {
      for (int e = 0; e < n; ++e)
        for (int k = 0; k < 3; ++k) to[k][e] = from[3 * groups.edge(first + e) + k];
      return;
    }
    for (int k = 0; k < 3; ++k) to[k] = FirstLanes<Real>(3 * n - k * lanes).load(from + 3 * first + k * lanes);
    deinterleave(to);
  }
};

// χ of a block of edges.
template <class T> class EdgeBasis {
 public:
  using Real = RealOf<T>;
  using V = VectorOf<T>;

  explicit EdgeBasis(const Basis &basis, const Input<Real> &frequencies)
      : basis_(basis), frequencies_(frequencies), radial_(basis.n_rbf), slope_(basis.n_rbf), by_parameter_(basis.n_rbf),
        angular_(basis.n_angular())
  {
  }

  // Makes `radial` and `angular` of these edges, and what `gradient` needs if one is to come.
  template <bool with_slopes> void evaluate(const EdgeVectors<T> &edges)
  {
    edge_.set(edges.r, edges.length, basis_.cutoff, basis_.exponent);
    const RadialDistance<T> distance = radial_distance(basis_, edge_);
    for (int n = 0; n < basis_.n_rbf; ++n) {
      const RadialFunction<T> of_n = radial_function<with_slopes>(basis_, frequency(n), distance, edge_);
      radial_[n] = of_n.value;
      if constexpr (with_slopes) {
        slope_[n] = of_n.slope;
        by_parameter_[n] = of_n.by_parameter;
      }
    }
    at_degree(basis_.l_max, [&]<int l_max>(std::integral_constant<int, l_max>) {
      make_angular(std::make_integer_sequence<int, n_angular_up_to(l_max) - 1>());
    });
  }

  const T *radial() const { return radial_.data(); }      // (n_rbf,)  R_n f_c
  const T *angular() const { return angular_.data(); }    // (N_l,)    û^𝐥

  // From the gradients by `radial` and `angular`, for the edges of the last `evaluate`: the gradient by
  // their vectors, and by the frequencies, which is added if wanted. Destroys grad_angular.
  void gradient(const EdgeVectors<T> &edges, const T *grad_radial, T *grad_angular, T (&grad_vector)[3],
                V *grad_frequencies)
  {
    T grad_length = zero<T>();
    for (int n = 0; n < basis_.n_rbf; ++n) {
      grad_length += grad_radial[n] * slope_[n];
      if (grad_frequencies) grad_frequencies[n] += result_of(grad_radial[n] * by_parameter_[n]);
    }
    T grad_direction[3] = {zero<T>(), zero<T>(), zero<T>()};
    at_degree(basis_.l_max, [&]<int l_max>(std::integral_constant<int, l_max>) {
      angular_gradient(grad_angular, grad_direction, std::make_integer_sequence<int, n_angular_up_to(l_max) - 1>());
    });
    vector_gradient(edge_, edges.r, grad_length, grad_direction, grad_vector);
  }

 private:
  // Steps that are known at compile time, so that what they need stays in registers.
  template <int... k> void make_angular(std::integer_sequence<int, k...>)
  {
    [[maybe_unused]] const T direction[3] = {edge_.direction[0], edge_.direction[1], edge_.direction[2]};
    T made[sizeof...(k) + 1];
    made[0] = constant<T>(broadcast(Real(1)));
    ((made[k + 1] = made[angular_steps.lower[k + 1]] * direction[angular_steps.component[k + 1]]), ...);
    for (int i = 0; i <= static_cast<int>(sizeof...(k)); ++i) angular_[i] = made[i];
  }

  template <int... k>
  void angular_gradient(T *grad_angular, T (&grad_direction)[3], std::integer_sequence<int, k...>) const
  {
    [[maybe_unused]] const auto back = [&]<int step>(std::integral_constant<int, step>) {
      constexpr int lower = angular_steps.lower[step], component = angular_steps.component[step];
      grad_direction[component] += grad_angular[step] * angular_.data()[lower];
      grad_angular[lower] += grad_angular[step] * edge_.direction[component];
    };
    (back(std::integral_constant<int, sizeof...(k) - k>()), ...);
  }

  T frequency(int n) const
  {
    if constexpr (is_dual<T>)
      return {broadcast(frequencies_.value[n]), broadcast(frequencies_.tangent ? frequencies_.tangent[n] : Real(0))};
    else
      return broadcast(frequencies_.value[n]);
  }

  Basis basis_;
  Input<Real> frequencies_;
  Scratch<T> radial_, slope_, by_parameter_, angular_;
  EdgeGeometry<T> edge_;
};

// Takes the edges of a receiver, as many at a time as there are lanes: loads them, makes their basis, and finds where the
// rows of their senders begin, in a table with `row` numbers a sender. Lanes without an edge repeat the first one's, whose R
// is 0 there. Then calls body(first edge).
template <bool with_slopes, class T, class Task, class Body>
[[gnu::always_inline]] inline void
for_blocks_of_edges(const Task &task, int64_t atom, int row, EdgeVectors<T> &edges, EdgeBasis<T> &basis,
                    int64_t (&place_of_sender)[lanes_of<RealOf<T>>], const Body &body)
{
  constexpr int lanes = lanes_of<RealOf<T>>;
  const int64_t end = task.by_receiver.start[atom + 1];
  for (int64_t first = task.by_receiver.start[atom]; first < end; first += lanes) {
    edges.load(task.vectors, task.by_receiver, first, end, task.basis.cutoff);
    basis.template evaluate<with_slopes>(edges);
    for (int e = 0; e < edges.n; ++e) place_of_sender[e] = task.senders[task.by_receiver.edge(first + e)] * row;
    for (int e = edges.n; e < lanes; ++e) place_of_sender[e] = place_of_sender[0];
    body(first);
  }
}

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
