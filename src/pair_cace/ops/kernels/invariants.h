// Invariants B of one column of A, as a list of products (Eq. 8-10; nn/invariants.py has the same list).
#pragma once

#include "edge_basis.h"
#include "invariant_terms.h"

#include <mutex>
#include <utility>

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

// ---- known at compile time: every term is straight code, and all sums are in registers -----------------

inline constexpr int term_capacity = 256;

// For L = 3, ν ≤ 3: 71 multiplications, additions or both at once for the values, 127 for the gradient.
template <int l_max, int nu_max> struct FixedInvariants {
  static constexpr InvariantTerms<term_capacity> terms{l_max, nu_max};
  static constexpr int n_angular = n_angular_up_to(l_max);

  static constexpr int n_features() { return terms.n_features; }

  // The terms of a feature that have the same last factor become one product.
  template <class T> static void values(const T *basis, T *invariants)
  {
    T a[n_angular];
    for (int k = 0; k < n_angular; ++k) a[k] = basis[k];
    each<terms.n_features>([&]<int f>(Number<f>) __attribute__((always_inline)) {
      constexpr int first = terms.begin[f];
      if constexpr (terms.term[first].order == 1) {
        invariants[f] = a[terms.term[first].factor[0]];
      } else {
        T before_last[n_angular], sum;
        each_term_of<f>([&]<int k>(Number<k>) __attribute__((always_inline)) {
          constexpr Term t = terms.term[k];
          constexpr int last = t.factor[t.order - 1];
          put<first_term_with(f, last, true) == k>(before_last[last],
                                                   product_without<k, t.order - 1>(t.coefficient, a));
        });
        each_term_of<f>([&]<int k>(Number<k>) __attribute__((always_inline)) {
          constexpr int last = terms.term[k].factor[terms.term[k].order - 1];
          if constexpr (first_term_with(f, last, true) == k) put<k == first>(sum, before_last[last] * a[last]);
        });
        invariants[f] = sum;
      }
    });
  }

  // grad_basis = start, which may be null, and what comes from grad_invariants: of a feature first its
  // derivatives by A, so that products that occur in several terms are made once. The last features have most of
  // them, and come first: then less is waiting in registers.
  template <class T> static void gradient(const T *basis, const T *grad_invariants, const T *start, T *grad_basis)
  {
    T a[n_angular], sum[n_angular];
    for (int k = 0; k < n_angular; ++k) a[k] = basis[k];
    each<terms.n_features>([&]<int left>(Number<left>) __attribute__((always_inline)) {
      constexpr int f = terms.n_features - 1 - left;
      const T g = grad_invariants[f];
      T slope[n_angular];
      each_term_of<f>([&]<int k>(Number<k>) __attribute__((always_inline)) {
        constexpr Term t = terms.term[k];
        each<t.order>([&]<int i>(Number<i>) __attribute__((always_inline)) {
          constexpr int place = t.factor[i];
          constexpr float coefficient = multiplicity(t, i) * t.coefficient;
          constexpr bool is_first = last_feature_with(place) == f;
          if constexpr (i > 0 && t.factor[i > 0 ? i - 1 : 0] == place)
            return;    // has been with the one before
          else if constexpr (t.order == 1)
            put<is_first>(sum[place], g);
          else if constexpr (t.order == 2)
            put<is_first>(sum[place], broadcast(RealOf<T>(coefficient)) * g * a[t.factor[1 - i]]);
          else
            put<first_term_with(f, place) == k>(slope[place], product_without<k, i>(coefficient, a));
        });
      });
      each<n_angular>([&]<int k>(Number<k>) __attribute__((always_inline)) {
        constexpr int first = first_term_with(f, k);
        if constexpr (first >= 0)
          if constexpr (terms.term[first].order > 2) put<last_feature_with(k) == f>(sum[k], g * slope[k]);
      });
    });
    if (start)
      for (int k = 0; k < n_angular; ++k) sum[k] += start[k];
    for (int k = 0; k < n_angular; ++k) grad_basis[k] = sum[k];
  }

 private:
  template <int n> using Number = std::integral_constant<int, n>;

  template <int n, int first = 0, class Body> [[gnu::always_inline]] static void each(const Body &body)
  {
    [&]<int... k>(std::integer_sequence<int, k...>)
        __attribute__((always_inline)) { (body(Number<first + k>()), ...); }(std::make_integer_sequence<int, n>());
  }

  template <int f, class Body> [[gnu::always_inline]] static void each_term_of(const Body &body)
  {
    each<terms.begin[f + 1] - terms.begin[f], terms.begin[f]>(body);
  }

  // The first term of feature f that has this factor, or has it as its last one; −1 if there is none.
  static constexpr int first_term_with(int f, int factor, bool as_last = false)
  {
    for (int k = terms.begin[f]; k < terms.begin[f + 1]; ++k)
      for (int i = as_last ? terms.term[k].order - 1 : 0; i < terms.term[k].order; ++i)
        if (terms.term[k].factor[i] == factor) return k;
    return -1;
  }

  static constexpr int last_feature_with(int factor)
  {
    int f = terms.n_features - 1;
    while (first_term_with(f, factor) < 0) --f;
    return f;
  }

  // to = x, or to += x
  template <bool is_first, class T> [[gnu::always_inline]] static void put(T &to, T x)
  {
    if constexpr (is_first)
      to = x;
    else
      to += x;
  }

  static constexpr int multiplicity(const Term &t, int i)
  {
    int times = 0;
    for (int f = 0; f < t.order; ++f) times += t.factor[f] == t.factor[i];
    return times;
  }

  // coefficient · Π of the factors of term k but factor i
  template <int k, int i, class T> [[gnu::always_inline]] static T product_without(float coefficient, const T *a)
  {
    constexpr Term t = terms.term[k];
    T product = broadcast(RealOf<T>(coefficient)) * a[t.factor[i == 0 ? 1 : 0]];
    each<t.order>([&]<int f>(Number<f>) __attribute__((always_inline)) {
      if constexpr (f != i && f != (i == 0 ? 1 : 0)) product = product * a[t.factor[f]];
    });
    return product;
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
    for (int k = 0; k < terms_.n_terms; ++k) {
      const Term &t = terms_.term[k];
      T product = broadcast(RealOf<T>(t.coefficient)) * basis[t.factor[0]];
      for (int i = 1; i < t.order; ++i) product = product * basis[t.factor[i]];
      invariants[t.feature] += product;
    }
  }

  // grad_basis = start, which may be null, and what comes from grad_invariants
  template <class T> void gradient(const T *basis, const T *grad_invariants, const T *start, T *grad_basis) const
  {
    for (int k = 0; k < n_angular_; ++k) grad_basis[k] = start ? start[k] : zero<T>();
    for (int k = 0; k < terms_.n_terms; ++k) add_term_gradient(terms_.term[k], basis, grad_invariants, grad_basis);
  }

 private:
  ListedInvariants(int l_max, int nu_max) : n_angular_(n_angular_up_to(l_max)), terms_(l_max, nu_max) {}

  // grad_basis += of one term
  template <class T>
  [[gnu::always_inline]] static void add_term_gradient(const Term &t, const T *basis, const T *grad_invariants,
                                                       T *grad_basis)
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
      const T a = basis[t.factor[0]], b = basis[t.factor[1]], c = basis[t.factor[2]], d = basis[t.factor[3]];
      const T gab = g * (a * b), gcd = g * (c * d);
      grad_basis[t.factor[0]] += gcd * b;
      grad_basis[t.factor[1]] += gcd * a;
      grad_basis[t.factor[2]] += gab * d;
      grad_basis[t.factor[3]] += gab * c;
    }
  }

  int n_angular_;

  InvariantTerms<listed_capacity> terms_;
};

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
