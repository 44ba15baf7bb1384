// Invariants B of one column of A, as a list of products (Eq. 8-10; nn/invariants.py has the same list).
#pragma once

#include "edge_basis.h"
#include "invariant_terms.h"

#include <mutex>
#include <utility>

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

template <class T> [[gnu::always_inline]] inline T product_of(const Term &t, const T *basis)
{
  T product = basis[t.factor[0]];
  for (int f = 1; f < t.order; ++f) product = product * basis[t.factor[f]];
  return product;
}

template <class T>
[[gnu::always_inline]] inline void add_term(const Term &t, const T *basis, T *invariants)
{
  invariants[t.feature] += broadcast(RealOf<T>(t.coefficient)) * product_of(t, basis);
}

// grad_basis += of one term
template <class T>
[[gnu::always_inline]] inline void add_term_gradient(const Term &t, const T *basis, const T *grad_invariants, T *grad_basis)
{
  const T g = broadcast(RealOf<T>(t.coefficient)) * grad_invariants[t.feature];
  if (t.order == 1) {
    grad_basis[t.factor[0]] += g;
  } else if (t.order == 2) {
    grad_basis[t.factor[0]] += g * basis[t.factor[1]];
    grad_basis[t.factor[1]] += g * basis[t.factor[0]];
  } else if (t.order == 3) {
    const T a = basis[t.factor[0]], b = basis[t.factor[1]], c = basis[t.factor[2]];
    const T gc = g * c;
    grad_basis[t.factor[0]] += gc * b;
    grad_basis[t.factor[1]] += gc * a;
    grad_basis[t.factor[2]] += g * (a * b);
  } else {
    const T a = basis[t.factor[0]], b = basis[t.factor[1]], c = basis[t.factor[2]],
            d = basis[t.factor[3]];
    const T gab = g * (a * b), gcd = g * (c * d);
    grad_basis[t.factor[0]] += gcd * b;
    grad_basis[t.factor[1]] += gcd * a;
    grad_basis[t.factor[2]] += gab * d;
    grad_basis[t.factor[3]] += gab * c;
  }
}

// ---- known at compile time: every term is straight code ------------------------------------------

inline constexpr int term_capacity = 256;

template <int l_max, int nu_max> struct FixedInvariants {
  static constexpr InvariantTerms<term_capacity> terms{l_max, nu_max};

  static constexpr int n_features() { return terms.n_features; }

  template <class T> static void values(const T *basis, T *invariants)
  {
    for (int f = 0; f < terms.n_features; ++f) invariants[f] = zero<T>();
    [&]<std::size_t... k>(std::index_sequence<k...>) {
      (add_term(terms.term[k], basis, invariants), ...);
    }(std::make_index_sequence<terms.n_terms>{});
  }

  template <class T> static void gradient(const T *basis, const T *grad_invariants, T *grad_basis)
  {
    [&]<std::size_t... k>(std::index_sequence<k...>) {
      (add_term_gradient(terms.term[k], basis, grad_invariants, grad_basis), ...);
    }(std::make_index_sequence<terms.n_terms>{});
  }
};

// ---- any other shape -----------------------------------------------------------------------------

class ListedInvariants {
 public:
  // The list is made once and kept.
  static const ListedInvariants &of(int l_max, int nu_max)
  {
    static const ListedInvariants *made[max_degree + 1][5] = {};
    static std::mutex one_at_a_time;
    const std::lock_guard lock(one_at_a_time);
    const ListedInvariants *&list = made[l_max][nu_max];
    if (!list) list = new ListedInvariants(l_max, nu_max);
    return *list;
  }

  int n_features() const { return terms_.n_features; }

  template <class T> void values(const T *basis, T *invariants) const
  {
    for (int f = 0; f < terms_.n_features; ++f) invariants[f] = zero<T>();
    for (int k = 0; k < terms_.n_terms; ++k) add_term(terms_.term[k], basis, invariants);
  }

  template <class T> void gradient(const T *basis, const T *grad_invariants, T *grad_basis) const
  {
    for (int k = 0; k < terms_.n_terms; ++k)
      add_term_gradient(terms_.term[k], basis, grad_invariants, grad_basis);
  }

 private:
  ListedInvariants(int l_max, int nu_max) : terms_(l_max, nu_max) {}

  InvariantTerms<listed_capacity> terms_;
};

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
