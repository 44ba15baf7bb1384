// û^𝐥 of one edge in the registers of a thread. L is the degree where it is known at compile time, so that all
// indices are; any_degree stands for the others, whose arrays are larger and lie in memory.
#pragma once

#include "../kernels/radial_function.h"
#include "platform.h"

#include <type_traits>
#include <utility>

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

inline constexpr int any_degree = -1;
template <int L> inline constexpr int room_for_angular = n_angular_up_to(L == any_degree ? max_degree : L);
template <int L> inline constexpr int room_for_degrees = (L == any_degree ? max_degree : L) + 1;

// An index 𝐥, its degree, and how û^𝐥 follows from that of one degree less.
struct AngularIndex {
  int k, degree, lower, component;
};

PAIR_CACE_HD constexpr int degree_of_index(int k)
{
  int l = 0;
  while (angular_before(l + 1) <= k) ++l;
  return l;
}

template <int k> struct FixedIndex {
  static constexpr int degree = degree_of_index(k);
  static constexpr int lower = angular_steps.lower[k], component = angular_steps.component[k];
};

template <int k, class Body> __device__ inline void at_index(const Body &body)
{
  constexpr int degree = FixedIndex<k>::degree, lower = FixedIndex<k>::lower, component = FixedIndex<k>::component;
  body(AngularIndex{k, degree, lower, component});
}

template <class Body, int... k> __device__ inline void at_indices(const Body &body, std::integer_sequence<int, k...>)
{
  (at_index<k>(body), ...);
}

template <class Body, int... k>
__device__ inline void at_indices_reversed(const Body &body, std::integer_sequence<int, k...>)
{
  (at_index<static_cast<int>(sizeof...(k)) - 1 - k>(body), ...);
}

// Any degree: indices are counted.
__device__ inline AngularIndex counted_index(int k)
{
  const int l = degree_of_index(k), place = k - angular_before(l);
  if (l == 0) return {k, 0, 0, 0};
  int rest = 0;    // l − lx
  while ((rest + 1) * (rest + 2) / 2 <= place) ++rest;
  const int lz = place - rest * (rest + 1) / 2, before = angular_before(l - 1);
  if (rest < l) return {k, l, before + place, 0};                 // one lx less
  if (lz < l) return {k, l, before + (l - 1) * l / 2 + lz, 1};    // lx = 0: one ly less
  return {k, l, before + (l - 1) * l / 2 + lz - 1, 2};
}

// Calls body(index) for all 𝐥 up to l_max, ascending.
template <int L, class Body> __device__ inline void for_angular(int l_max, const Body &body)
{
  if constexpr (L == any_degree) {
    for (int k = 0; k < n_angular_up_to(l_max); ++k) body(counted_index(k));
  } else {
    at_indices(body, std::make_integer_sequence<int, n_angular_up_to(L)>());
  }
}

template <int L, class Body> __device__ inline void for_angular_reversed(int l_max, const Body &body)
{
  if constexpr (L == any_degree) {
    for (int k = n_angular_up_to(l_max) - 1; k >= 0; --k) body(counted_index(k));
  } else {
    at_indices_reversed(body, std::make_integer_sequence<int, n_angular_up_to(L)>());
  }
}

// Calls body(l) for l = 0 … l_max.
template <int L, class Body> __device__ inline void for_degrees(int l_max, const Body &body)
{
  if constexpr (L == any_degree) {
    for (int l = 0; l <= l_max; ++l) body(l);
  } else {
#pragma unroll
    for (int l = 0; l <= L; ++l) body(l);
  }
}

template <class T> __device__ inline T number(const Input<RealOf<T>> &input, int64_t at)
{
  if constexpr (is_dual<T>)
    return {input.value[at], input.tangent ? input.tangent[at] : RealOf<T>(0)};
  else
    return input.value[at];
}

// One edge: vector, length, direction, cutoff.
template <class T> struct Edge : EdgeGeometry<T> {
  T r[3];

  __device__ void load(const Input<RealOf<T>> &vectors, int64_t edge, double cutoff, int exponent)
  {
    for (int k = 0; k < 3; ++k) r[k] = number<T>(vectors, 3 * edge + k);
    this->set(r, root(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]), cutoff, exponent);
  }
};

// value[k] = û^𝐥
template <int L, class T> __device__ inline void make_angular(int l_max, const T (&direction)[3], T *value)
{
  for_angular<L>(l_max, [&](const AngularIndex &at) {
    value[at.k] = at.k == 0 ? constant<T>(RealOf<T>(1)) : value[at.lower] * direction[at.component];
  });
}

// Adds to grad_direction from the gradient by all û^𝐥, which is destroyed.
template <int L, class T>
__device__ inline void add_direction_gradient(int l_max, const T (&direction)[3], const T *value, T *grad_value,
                                              T (&grad_direction)[3])
{
  for_angular_reversed<L>(l_max, [&](const AngularIndex &at) {
    if (at.k == 0) return;
    grad_direction[at.component] += grad_value[at.k] * value[at.lower];
    grad_value[at.lower] += grad_value[at.k] * direction[at.component];
  });
}

// Adds to a sum that many threads add to.
template <class Real> __device__ inline void add_to(Real *sum, Real value)
{
  atomicAdd(sum, value);
}

// All threads of a warp call it, for the same sum.
template <class T> __device__ inline void add_number_of_warp(T &sum, T value)
{
  if constexpr (is_dual<T>) {
    add_of_warp(&sum.a, value.a);
    add_of_warp(&sum.d, value.d);
  } else {
    add_of_warp(&sum, value);
  }
}

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
