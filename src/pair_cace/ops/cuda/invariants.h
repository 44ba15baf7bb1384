// Invariants B of one column of A on a GPU: straight code for common shapes, a list of products for all others.
#pragma once

#include "../kernels/invariant_terms.h"
#include "angular.h"

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

// coefficient · (product of all factors but the one at place `without`)
template <class T> __device__ inline T partial_product(const Term &t, const T *basis, T factor, int without)
{
  for (int f = 0; f < t.order; ++f)
    if (f != without) factor = factor * basis[t.factor[f]];
  return factor;
}

template <int l_max, int nu_max> struct FixedTerms {
  static constexpr InvariantTerms<256> terms{l_max, nu_max};
};

// The number of the term is known at compile time: so are all places in basis, which stays in registers.
template <int l_max, int nu_max> class FixedColumn {
 public:
  static constexpr int L = l_max;

  // Calls write(f, B_f) for all invariants.
  template <class T, class Write> __device__ void values(const T *basis, const Write &write) const
  {
    T invariants[n_features];
    for (int f = 0; f < n_features; ++f) invariants[f] = zero<T>();
    add_terms(basis, invariants, std::make_integer_sequence<int, n_terms>());
#pragma unroll
    for (int f = 0; f < n_features; ++f) write(f, invariants[f]);
  }

  // grad_basis += of the invariants, whose gradients are read(f).
  template <class T, class Read> __device__ void gradient(const T *basis, const Read &read, T *grad_basis) const
  {
    T grad_invariants[n_features];
#pragma unroll
    for (int f = 0; f < n_features; ++f) grad_invariants[f] = read(f);
    add_gradients(basis, grad_invariants, grad_basis, std::make_integer_sequence<int, n_terms>());
  }

 private:
  static constexpr int n_features = FixedTerms<l_max, nu_max>::terms.n_features;
  static constexpr int n_terms = FixedTerms<l_max, nu_max>::terms.n_terms;

  template <class T, int... k>
  __device__ static void add_terms(const T *basis, T *invariants, std::integer_sequence<int, k...>)
  {
    (add_term<k>(basis, invariants), ...);
  }

  template <int k, class T> __device__ static void add_term(const T *basis, T *invariants)
  {
    constexpr Term t = FixedTerms<l_max, nu_max>::terms.term[k];
    constexpr int a = t.factor[0], b = t.factor[1], c = t.factor[2], d = t.factor[3];
    T product = broadcast(RealOf<T>(t.coefficient)) * basis[a];
    if constexpr (t.order > 1) product = product * basis[b];
    if constexpr (t.order > 2) product = product * basis[c];
    if constexpr (t.order > 3) product = product * basis[d];
    invariants[t.feature] += product;
  }

  template <class T, int... k>
  __device__ static void add_gradients(const T *basis, const T *grad_invariants, T *grad_basis,
                                       std::integer_sequence<int, k...>)
  {
    (add_gradient<k>(basis, grad_invariants, grad_basis), ...);
  }

  template <int k, class T> __device__ static void add_gradient(const T *basis, const T *grad_invariants, T *grad_basis)
  {
    constexpr Term t = FixedTerms<l_max, nu_max>::terms.term[k];
    constexpr int a = t.factor[0], b = t.factor[1], c = t.factor[2], d = t.factor[3];
    const T g = broadcast(RealOf<T>(t.coefficient)) * grad_invariants[t.feature];
    if constexpr (t.order == 1) {
      grad_basis[a] += g;
    } else if constexpr (t.order == 2) {
      grad_basis[a] += g * basis[b];
      grad_basis[b] += g * basis[a];
    } else if constexpr (t.order == 3) {
      grad_basis[a] += g * (basis[b] * basis[c]);
      grad_basis[b] += g * (basis[a] * basis[c]);
      grad_basis[c] += g * (basis[a] * basis[b]);
    } else {
      const T ab = g * (basis[a] * basis[b]), cd = g * (basis[c] * basis[d]);
      grad_basis[a] += cd * basis[b];
      grad_basis[b] += cd * basis[a];
      grad_basis[c] += ab * basis[d];
      grad_basis[d] += ab * basis[c];
    }
  }
};

// The list is in the memory of the device; its terms are ordered by feature.
class ListedColumn {
 public:
  static constexpr int L = any_degree;

  const Term *terms = nullptr;
  int n_terms = 0;

  template <class T, class Write> __device__ void values(const T *basis, const Write &write) const
  {
    T sum = zero<T>();
    for (int k = 0; k < n_terms; ++k) {
      const Term t = terms[k];
      sum += partial_product(t, basis, constant<T>(RealOf<T>(t.coefficient)), -1);
      if (k + 1 < n_terms && terms[k + 1].feature == t.feature) continue;
      write(t.feature, sum);
      sum = zero<T>();
    }
  }

  template <class T, class Read> __device__ void gradient(const T *basis, const Read &read, T *grad_basis) const
  {
    for (int k = 0; k < n_terms; ++k) {
      const Term t = terms[k];
      const T g = broadcast(RealOf<T>(t.coefficient)) * read(t.feature);
      for (int f = 0; f < t.order; ++f) grad_basis[t.factor[f]] += partial_product(t, basis, g, f);
    }
  }
};

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
