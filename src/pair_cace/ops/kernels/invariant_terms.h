// The list of products that the invariants B are made of (Eq. 8-10; nn/invariants.py has the same list).
#pragma once

#include "angular_index.h"

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

inline constexpr int listed_capacity = 131072;    // more than l_max = 8 and ν = 4 need

// coefficient · A[factor 0] · … · A[factor ν−1], a part of one feature.
struct Term {
  int16_t feature = 0;
  int16_t order = 0;    // ν
  int16_t factor[4] = {};
  float coefficient = 0.0f;
};

// All terms for l_max and nu_max, by feature; equal products are collected.
template <int capacity> struct InvariantTerms {
  static constexpr int feature_capacity = 256;

  Term term[capacity];
  int n_terms = 0;
  int n_features = 0;
  int begin[feature_capacity + 1] = {};    // the first term of every feature, and behind the last one

  constexpr InvariantTerms(int l_max, int nu_max)
  {
    open();
    const int scalar[1] = {0};
    add(1, scalar, 1);
    if (nu_max >= 2)
      for (int l = 1; l <= l_max; ++l) {
        open();
        for (int a = angular_before(l); a < angular_before(l + 1); ++a) {
          const int factors[2] = {a, a};
          add(2, factors, multinomial(a));
        }
      }
    if (nu_max >= 3)
      for (int l1 = 1; l1 <= l_max; ++l1)
        for (int l2 = l1; l1 + l2 <= l_max; ++l2) {
          open();
          for (int a = angular_before(l1); a < angular_before(l1 + 1); ++a)
            for (int b = angular_before(l2); b < angular_before(l2 + 1); ++b) {
              const int factors[3] = {a, b, plus(a, b)};
              add(3, factors, multinomial(a) * multinomial(b));
            }
        }
    if (nu_max >= 4)
      for (int l1 = 1; l1 <= l_max; ++l1)
        for (int l2 = l1 + 1; l2 <= l_max; ++l2)
          for (int d = 1; l2 + d <= l_max; ++d) {
            open();
            for (int a = angular_before(l1); a < angular_before(l1 + 1); ++a)
              for (int b = angular_before(l2); b < angular_before(l2 + 1); ++b)
                for (int c = angular_before(d); c < angular_before(d + 1); ++c) {
                  const int factors[4] = {a, b, plus(a, c), plus(b, c)};
                  add(4, factors, multinomial(a) * multinomial(b) * multinomial(c));
                }
          }
    begin[n_features] = n_terms;
  }

 private:
  constexpr void open() { begin[n_features++] = n_terms; }

  constexpr void add(int order, const int *factors, int coefficient)
  {
    Term t;
    t.feature = static_cast<int16_t>(n_features - 1);
    t.order = static_cast<int16_t>(order);
    for (int k = 0; k < order; ++k) {    // sorted
      int at = k;
      for (; at > 0 && t.factor[at - 1] > factors[k]; --at) t.factor[at] = t.factor[at - 1];
      t.factor[at] = static_cast<int16_t>(factors[k]);
    }
    for (int k = begin[n_features - 1]; k < n_terms; ++k) {
      bool same = true;
      for (int f = 0; f < order; ++f) same = same && term[k].factor[f] == t.factor[f];
      if (same) {
        term[k].coefficient += coefficient;
        return;
      }
    }
    t.coefficient = coefficient;
    term[n_terms++] = t;
  }
};

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
