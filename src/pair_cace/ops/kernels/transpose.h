// Between tensors, where an atom's values lie side by side, and registers with one atom per lane.
#pragma once

#include "simd.h"

#include <utility>

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

// Transposes a square of lanes × lanes values: in step s, rows k and k + s (k & s = 0) swap the blocks
// of s columns that lie off the diagonal.
template <class Real> [[gnu::always_inline]] inline void transpose(Vec<Real> (&rows)[lanes_of<Real>])
{
  constexpr int n = lanes_of<Real>;
  using Bits = typename VecOf<Real>::Bits;
  const auto swap_blocks = [&]<int s>(std::integral_constant<int, s>) {
    Bits upper{}, lower{};
    for (int k = 0; k < n; ++k) {
      upper[k] = k & s ? n + k - s : k;
      lower[k] = k & s ? n + k : k + s;
    }
#pragma GCC unroll 16
    for (int k = 0; k < n; ++k)
      if (!(k & s)) {
        const Vec<Real> a = rows[k], b = rows[k + s];
        rows[k] = __builtin_shuffle(a, b, upper);
        rows[k + s] = __builtin_shuffle(a, b, lower);
      }
  };
  if constexpr (n > 1) swap_blocks(std::integral_constant<int, 1>());
  if constexpr (n > 2) swap_blocks(std::integral_constant<int, 2>());
  if constexpr (n > 4) swap_blocks(std::integral_constant<int, 4>());
  if constexpr (n > 8) swap_blocks(std::integral_constant<int, 8>());
}

// Reads n_entries values of each of n_atoms ≤ lanes rows, which are `row` apart, and calls
// take(entry, values of all atoms); lanes without atom are 0.
template <class Real, class Take>
inline void read_by_atom(const Real *from, int64_t row, int n_atoms, int n_entries, const Take &take)
{
  constexpr int lanes = lanes_of<Real>;
  for (int first = 0; first < n_entries; first += lanes) {
    const int count = n_entries - first < lanes ? n_entries - first : lanes;
    Vec<Real> rows[lanes];
    for (int i = 0; i < lanes; ++i)
      rows[i] = i < n_atoms ? load_first(from + i * row + first, count) : Vec<Real>{};
    transpose<Real>(rows);
    for (int k = 0; k < count; ++k) take(first + k, rows[k]);
  }
}

// Writes what give(entry) returns for all atoms.
template <class Real, class Give>
inline void write_by_atom(Real *to, int64_t row, int n_atoms, int n_entries, const Give &give)
{
  constexpr int lanes = lanes_of<Real>;
  for (int first = 0; first < n_entries; first += lanes) {
    const int count = n_entries - first < lanes ? n_entries - first : lanes;
    Vec<Real> rows[lanes];
    for (int k = 0; k < lanes; ++k) rows[k] = k < count ? give(first + k) : Vec<Real>{};
    transpose<Real>(rows);
    for (int i = 0; i < n_atoms; ++i) store_first(to + i * row + first, rows[i], count);
  }
}

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
