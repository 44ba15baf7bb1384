// Products of many rows with one matrix, without copies of either: the matrix is packed once, when a model is loaded, in
// panels of two vectors of columns (n_in, 2 lanes) and perhaps a last one of one vector, and rows are where they are.
//
// Counted per row and panel: n_in multiply-adds of two vectors; a block of rows reads the panel once.
#pragma once

#include "free_kernels.h"
#include "simd.h"

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

template <class V> class RowProducts {
  using Real = RealOf<V>;
  static constexpr int lanes = lanes_of<Real>;
  static constexpr int rows_at_once = many_registers ? 12 : 6;    // with two vectors each, all in registers

 public:
  explicit RowProducts(const RowProduct<Real> &task) : task_(task) {}

  void run(int64_t begin, int64_t end) const
  {
    const int n_vectors = task_.n_out / lanes;
    const int64_t first = begin * task_.rows_per_group, n_rows = end * task_.rows_per_group - first;
    for (int v = 0; v < n_vectors; v += 2) {
      const Real *panel = task_.weight + int64_t(v) * lanes * task_.n_in;
      in_pieces<rows_at_once>(static_cast<int>(n_rows), [&]<int n>(int at, std::integral_constant<int, n>) {
        if (v + 1 < n_vectors)
          multiply<n, 2>(panel, first + at, v);
        else
          multiply<n, 1>(panel, first + at, v);
      });
    }
  }

 private:
  template <int n, int vectors> void multiply(const Real *panel, int64_t first, int v) const
  {
    const Real *x[n];
    Real *y[n];
    int64_t group = first / task_.rows_per_group;
    for (int i = 0, row = static_cast<int>(first % task_.rows_per_group); i < n; ++i) {
      const int64_t place = task_.order ? task_.order[group] : group;
      x[i] = task_.x + place * task_.x_group + row * task_.x_row;
      y[i] = task_.y + place * task_.y_group + row * task_.y_row + v * lanes;
      if (++row == task_.rows_per_group) {
        row = 0;
        ++group;
      }
    }
    V sum[n][vectors];
    for (int i = 0; i < n; ++i)
      for (int k = 0; k < vectors; ++k) sum[i][k] = task_.bias ? load(task_.bias + (v + k) * lanes) : V{};
    for (int64_t m = 0; m < task_.n_in; ++m) {
      V w[vectors];
      for (int k = 0; k < vectors; ++k) w[k] = load(panel + (m * vectors + k) * lanes);
#pragma GCC unroll 12
      for (int i = 0; i < n; ++i) {
        const V factor = broadcast(x[i][m]);
        for (int k = 0; k < vectors; ++k) sum[i][k] += factor * w[k];
      }
    }
    for (int i = 0; i < n; ++i)
      for (int k = 0; k < vectors; ++k)
        store(y[i] + k * lanes, task_.adds ? load(y[i] + k * lanes) + sum[i][k] : sum[i][k]);
  }

  const RowProduct<Real> &task_;
};

template <class V> void row_product(const RowProduct<RealOf<V>> &task, int64_t begin, int64_t end)
{
  RowProducts<V>(task).run(begin, end);
}

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
