// Sums over neighbours that follow from others: û has length 1, so that û^𝐥 = Σ_k û^(𝐥 + 2 e_k), and a sum of
// degree l whose weights do not depend on l is made of those of degree l + 2. Only the two highest degrees are
// summed, 16 of 20 𝐥 for L = 3 and 25 of 35 for L = 4; NeighborSum::first_summed says which.
//
// Counted per atom and row of n_rbf · n_weights sums: two additions for every 𝐥 that follows, three for its gradient.
#pragma once

#include "angular_index.h"

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

// 𝐥 + 2 e_k, for every 𝐥 that is not of the two highest degrees there are.
struct TwoDegreesUp {
  int16_t of[n_angular_up_to(max_degree - 2)][3] = {};

  constexpr TwoDegreesUp()
  {
    for (int l = 0, at = 0; l <= max_degree - 2; ++l)
      for (int lx = l; lx >= 0; --lx)
        for (int ly = l - lx; ly >= 0; --ly, ++at) {
          const int lz = l - lx - ly;
          of[at][0] = AngularSteps::place(lx + 2, ly, lz);
          of[at][1] = AngularSteps::place(lx, ly + 2, lz);
          of[at][2] = AngularSteps::place(lx, ly, lz + 2);
        }
  }
};
inline constexpr TwoDegreesUp two_degrees_up;

// row(𝐥) points to `size` sums. Makes those below `first` from the others.
template <class Row> inline void make_lower_degrees(int first, int size, const Row &row)
{
  for (int k = first - 1; k >= 0; --k) {
    const auto &up = two_degrees_up.of[k];
    const auto *x = row(up[0]), *y = row(up[1]), *z = row(up[2]);
    auto *to = row(k);
    for (int i = 0; i < size; ++i) to[i] = x[i] + y[i] + z[i];
  }
}

// The way back: adds the gradients by sums below `first` to those of the sums they are made of.
template <class Row> inline void add_lower_degrees(int first, int size, const Row &row)
{
  for (int k = 0; k < first; ++k) {
    const auto *from = row(k);
    for (const int up : two_degrees_up.of[k]) {
      auto *to = row(up);
      for (int i = 0; i < size; ++i) to[i] += from[i];
    }
  }
}

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
