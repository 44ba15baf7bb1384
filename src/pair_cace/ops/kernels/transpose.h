// Between rows of memory, one for each atom (or edge), and registers with one atom (or edge) per lane.
#pragma once

#include "kernels.h"
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

// Which lanes of three vectors go where if x₀ y₀ z₀ x₁ y₁ … become all x, all y and all z, or the other way. A lane
// comes from the first two vectors, or the third. Tables, for GCC 12 makes such loops at run time.
template <class Index, int n> struct LanesOfThree {
  Index of_two[3][n] = {}, of_all[3][n] = {};

  constexpr explicit LanesOfThree(bool interleaves)
  {
    for (int k = 0; k < 3; ++k)
      for (int i = 0; i < n; ++i) {
        const int place = k * n + i;
        const int at = interleaves ? place % 3 * n + place / 3 : 3 * i + k;
        of_two[k][i] = at < 2 * n ? at : 0;
        of_all[k][i] = at < 2 * n ? i : at - n;
      }
  }

  template <class V> [[gnu::always_inline]] void apply(V (&v)[3]) const
  {
    using Bits = typename VecOf<RealOf<V>>::Bits;
    const V from[3] = {v[0], v[1], v[2]};
    for (int k = 0; k < 3; ++k) {
      Bits two, all;
      std::memcpy(&two, of_two[k], sizeof two);
      std::memcpy(&all, of_all[k], sizeof all);
      v[k] = __builtin_shuffle(__builtin_shuffle(from[0], from[1], two), from[2], all);
    }
  }
};

template <class V> using LanesOfThreeFor = LanesOfThree<LaneOf<typename VecOf<RealOf<V>>::Bits>, lanes_of<RealOf<V>>>;

// From x₀ y₀ z₀ x₁ y₁ … in three vectors to all x, all y and all z.
template <class V> [[gnu::always_inline]] inline void deinterleave(V (&v)[3])
{
  static constexpr LanesOfThreeFor<V> lanes(false);
  lanes.apply(v);
}

// The other way.
template <class V> [[gnu::always_inline]] inline void interleave(V (&v)[3])
{
  static constexpr LanesOfThreeFor<V> lanes(true);
  lanes.apply(v);
}

// Reads the entries 0 … n_entries − 1 of n ≤ lanes rows, which begin at row(0), row(1), …, and calls
// take(entry, its values in all rows); lanes without a row are 0.
template <class Real, class Row, class Take>
inline void rows_to_lanes(const Row &row, int n, int n_entries, const Take &take)
{
  constexpr int lanes = lanes_of<Real>;
  for (int first = 0; first < n_entries; first += lanes) {
    const int count = lanes_in_use<Real>(n_entries - first);
    const FirstLanes<Real> used(count);
    Vec<Real> rows[lanes];
    for (int i = 0; i < lanes; ++i) rows[i] = i < n ? used.load(row(i) + first) : Vec<Real>{};
    transpose<Real>(rows);
#pragma GCC unroll 16
    for (int k = 0; k < lanes; ++k)    // of fixed length, so that the rows stay in registers
      if (k < count) take(first + k, rows[k]);
  }
}

// The same for values and derivatives, of rows that begin at row(0), row(1), … of the input; place(entry)
// is where they go.
template <class T, class Row, class Place>
inline void inputs_to_lanes(const Input<RealOf<T>> &from, const Row &row, int n, int n_entries, const Place &place)
{
  using Real = RealOf<T>;
  using V = VectorOf<T>;
  rows_to_lanes<Real>([&](int i) { return from.value + row(i); }, n, n_entries,
                      [&](int k, V x) { place(k) = constant<T>(x); });
  if constexpr (is_dual<T>)
    if (from.tangent)
      rows_to_lanes<Real>([&](int i) { return from.tangent + row(i); }, n, n_entries,
                          [&](int k, V x) { place(k).d = x; });
}

// The other way: put(where entries of a row begin, vector, lanes in use) takes what give(entry) returns
// for all rows. See Overwrite and AddTo.
template <class Real, class Row, class Give, class Put>
inline void lanes_to_rows(const Row &row, int n, int n_entries, const Give &give, const Put &put)
{
  constexpr int lanes = lanes_of<Real>;
  for (int first = 0; first < n_entries; first += lanes) {
    const int count = lanes_in_use<Real>(n_entries - first);
    const FirstLanes<Real> used(count);
    Vec<Real> rows[lanes];
    for (int k = 0; k < lanes; ++k) rows[k] = k < count ? give(first + k) : Vec<Real>{};
    transpose<Real>(rows);
    for (int i = 0; i < n; ++i) put(row(i) + first, rows[i], used);
  }
}

struct Overwrite {
  template <class Real> void operator()(Real *at, Vec<Real> x, FirstLanes<Real> used) const { used.store(at, x); }
};

struct AddTo {
  template <class Real> void operator()(Real *at, Vec<Real> x, FirstLanes<Real> used) const
  {
    used.store(at, used.load(at) + x);
  }
};

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
