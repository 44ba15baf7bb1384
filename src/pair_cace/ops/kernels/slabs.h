// Tensors (N, n_radial, entries, C), atom first in memory, and their slabs: one radial function of as many
// atoms as there are lanes, (C, entries), one atom per lane.
#pragma once

#include "transpose.h"

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

template <class T> class Slabs {
  using Real = RealOf<T>;
  using V = VectorOf<T>;

 public:
  Slabs(int n_radial, int n_entries, int n_channels)
      : size_(n_entries * n_channels), row_(int64_t(n_radial) * size_), place_(size_)
  {
    for (int k = 0, at = 0; k < n_entries; ++k)
      for (int c = 0; c < n_channels; ++c) place_[at++] = c * n_entries + k;
  }

  // Radial function m of n ≤ lanes atoms from `first` on; does nothing without a tensor.
  void read(const Input<Real> &from, int64_t first, int n, int m, T *slab)
  {
    if (!from.value) return;
    inputs_to_lanes<T>(
        from, [&](int i) { return (first + i) * row_ + m * size_; }, n, size_,
        [&](int at) -> T & { return slab[place_[at]]; });
  }

  void write(const V *slab, int64_t first, int n, int m, Real *to)
  {
    if (!to) return;
    lanes_to_rows<Real>([&](int i) { return to + (first + i) * row_ + m * size_; }, n, size_,
                        [&](int at) { return slab[place_[at]]; }, Overwrite());
  }

 private:
  int size_;
  int64_t row_;    // of an atom
  Scratch<int> place_;
};

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
