// Sums over neighbours of what they say, and the way back. One column c = (r, m) per lane; the basis of edges has one
// edge per lane, as in neighbor_sum.h.
//
// Counted per edge and vector of columns, with N_l = 20 and n_rbf = 8 for L = 3: for the value 20 multiply-adds for
// scalars, 10 lower and 30 upper ones, 64 for the radial functions, 20 for the products with what is told; for the gradient
// twice the first 60, and 128 and 60. Read: 12 bytes of vector and n_said M
// numbers that the sender says; the gradient adds as many, and writes 12 bytes.
#pragma once

#include "edge_basis.h"
#include "free_kernels.h"
#include "transpose.h"

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

template <class V> class TensorSummation {
  using Real = RealOf<V>;
  static constexpr int lanes = lanes_of<Real>;
  static constexpr int group = lanes < 8 ? lanes : 8;    // of edges whose products are in registers
  static constexpr int rows_at_once = 4;                 // of a gradient

 public:
  explicit TensorSummation(const TensorSum<Real> &task)
      : task_(task), L_(task.basis.l_max), n_angular_(task.basis.n_angular()), n_rbf_(task.basis.n_rbf),
        n_columns_(task.n_columns() / lanes), n_told_(task.M / lanes), row_(task.n_said() * task.M),
        width_(task.width()), first_vector_(task.has_scalars ? task.M : 0), basis_(task.basis, task.frequencies),
        weighted_(n_angular_), told_of_(n_columns_), radial_(n_columns_), along_(n_told_), x_(3 * n_columns_),
        grad_x_(3 * n_columns_), grad_radial_of_c_(n_columns_), grad_along_(n_told_),
        grad_sums_(n_angular_ * width_ / lanes), by_angular_(n_angular_ * lanes), by_radial_(n_rbf_ * lanes),
        grad_angular_(n_angular_), grad_radial_(n_rbf_)
  {
    for (int c = 0; c < n_columns_; ++c) told_of_[c] = c % n_told_;
  }

  // (N_l, width) of the atom
  void values(int64_t atom, Real *sums)
  {
    std::memset(sums, 0, task_.size() * sizeof(Real));
    for_each_block<false>(atom, [&] {
      for (int first = 0; first < edges_.n; first += group) add_group(first, sums);
    });
    if (task_.has_vectors) scale_upper([&](int k, int c) { return sums + k * width_ + task_.first_upper() + c; });
  }

  // From the gradient by its sums, of the same shape.
  void gradients(int64_t atom, const Real *grad_sums)
  {
    std::memcpy(grad_sums_.data(), grad_sums, task_.size() * sizeof(Real));
    Real *mine = reinterpret_cast<Real *>(grad_sums_.data());
    if (task_.has_vectors) scale_upper([&](int k, int c) { return mine + k * width_ + task_.first_upper() + c; });
    for_each_block<true>(atom, [&] {
      by_angular_.clear();
      by_radial_.clear();
      for (int e = 0; e < edges_.n; ++e) add_gradients_of(e, mine);
      // Sums over the lanes of all edges, one edge per lane again.
      for (int k = 0; k < n_angular_; ++k) grad_angular_[k] = sums_of_lanes(by_angular_.data() + k * lanes);
      for (int n = 0; n < n_rbf_; ++n) grad_radial_[n] = sums_of_lanes(by_radial_.data() + n * lanes);
      V grad_vector[3];
      basis_.gradient(edges_, grad_radial_.data(), grad_angular_.data(), grad_vector, nullptr);
      edges_.store_gradient(grad_vector, task_.by_receiver, first_, task_.grad_vectors, task_.adds_to_vectors);
    });
  }

 private:
  template <bool with_slopes, class Body> void for_each_block(int64_t atom, const Body &body)
  {
    for_blocks_of_edges<with_slopes>(task_, atom, row_, edges_, basis_, place_, [&](int64_t first) {
      for (int k = 0; k < n_angular_; ++k) weighted_[k] = Real(angular_sums.multinomial[k]) * basis_.angular()[k];
      first_ = first;
      body();
    });
  }

  // Σ_α l_α/l û^{𝐥−e_α} h_α = 1/M(𝐥) Σ_α M(𝐥−e_α) û^{𝐥−e_α} h_α, by which rows of the sums begin and end as these.
  template <class Place> void scale_upper(const Place &place) const
  {
    for (int k = 1; k < n_angular_; ++k)
      for (int c = 0; c < n_columns_ * lanes; c += lanes)
        store(place(k, c), load(place(k, c)) * (1 / Real(angular_sums.multinomial[k])));
  }

  const V *radial_weights(int kind, int l, int c) const
  {
    return reinterpret_cast<const V *>(task_.radial) + int64_t((kind * (L_ + 1) + l) * n_columns_ + c) * n_rbf_;
  }

  const Real *angular() const { return reinterpret_cast<const Real *>(basis_.angular()); }
  const Real *weighted() const { return reinterpret_cast<const Real *>(weighted_.data()); }
  const Real *radial() const { return reinterpret_cast<const Real *>(basis_.radial()); }

  // ---- values --------------------------------------------------------------------------------------

  void add_group(int first, Real *sums)
  {
    for (int c = 0; c < n_columns_; ++c) {
      const int m = told_of_[c] * lanes;
      V radial[group], x[group];
      if (task_.has_scalars)
        for (int l = 0; l <= L_; ++l) {
          make_radial(first, radial_weights(0, l, c), radial);
          for (int e = 0; e < group; ++e) x[e] = radial[e] * load(task_.told + place_[first + e] + m);
          add_rows(angular() + first, l, x, sums + task_.first_scalar() + c * lanes);
        }
      if (!task_.has_vectors) continue;
      V told[3][group], along[group];
      for (int e = 0; e < group; ++e) {
        along[e] = V{};
        for (int a = 0; a < 3; ++a) {
          told[a][e] = load(task_.told + place_[first + e] + first_vector_ + a * task_.M + m);
          along[e] += told[a][e] * angular()[(1 + a) * lanes + first + e];
        }
      }
      for (int l = 0; l <= L_; ++l) {
        make_radial(first, radial_weights(task_.has_scalars, l, c), radial);
        if (l > 0) {
          for (int e = 0; e < group; ++e) x[e] = radial[e] * along[e];
          add_rows(angular() + first, l - 1, x, sums + c * lanes);
        }
        if (l == L_) continue;
        for (int a = 0; a < 3; ++a) {
          for (int e = 0; e < group; ++e) x[e] = radial[e] * told[a][e];
          Real *upper = sums + task_.first_upper() + c * lanes;
          for (int k = angular_before(l); k < angular_before(l + 1); ++k)
            add_row(weighted() + first + k * lanes, x, upper + angular_sums.above[k][a] * width_);
        }
      }
    }
  }

  // R of a group of edges.
  [[gnu::always_inline]] void make_radial(int first, const V *weights, V (&to)[group]) const
  {
    for (int e = 0; e < group; ++e) to[e] = V{};
    for (int n = 0; n < n_rbf_; ++n) {
      const V w = weights[n];
      const Real *of_n = radial() + n * lanes + first;
#pragma GCC unroll 8
      for (int e = 0; e < group; ++e) to[e] += broadcast(of_n[e]) * w;
    }
  }

  [[gnu::always_inline]] static void add_row(const Real *angular, const V (&x)[group], Real *to)
  {
    V sum[2] = {load(to), V{}};
#pragma GCC unroll 8
    for (int e = 0; e < group; ++e) sum[e % 2] += broadcast(angular[e]) * x[e];
    store(to, sum[0] + sum[1]);
  }

  [[gnu::always_inline]] void add_rows(const Real *angular, int l, const V (&x)[group], Real *sums) const
  {
    for (int k = angular_before(l); k < angular_before(l + 1); ++k) add_row(angular + k * lanes, x, sums + k * width_);
  }

  // ---- gradients of an edge ------------------------------------------------------------------------

  void add_gradients_of(int e, const Real *grad_sums)
  {
    const Real *told = task_.told + place_[e], *vectors = told + first_vector_;
    Real *grad_told = task_.grad_told + place_[e], *grad_vectors = grad_told + first_vector_;
    const int M = task_.M;
    if (task_.has_scalars)
      for (int l = 0; l <= L_; ++l) {
        make_radial_of(e, 0, l);
        for (int c = 0; c < n_columns_; ++c) x_[c] = radial_[c] * load(told + told_of_[c] * lanes);
        add_row_gradients<1>(e, l, angular(),
                             [&](int k, int) { return grad_sums + k * width_ + task_.first_scalar(); });
        for (int c = 0; c < n_columns_; ++c) {
          const int m = told_of_[c] * lanes;
          grad_radial_of_c_[c] = grad_x_[c] * load(told + m);
          store(grad_told + m, load(grad_told + m) + grad_x_[c] * radial_[c]);
        }
        add_radial_gradients(e, 0, l);
      }
    if (!task_.has_vectors) return;
    for (int m = 0; m < n_told_; ++m) {
      along_[m] = V{};
      grad_along_[m] = V{};
      for (int a = 0; a < 3; ++a) along_[m] += load(vectors + a * M + m * lanes) * angular()[(1 + a) * lanes + e];
    }
    for (int l = 0; l <= L_; ++l) {
      make_radial_of(e, task_.has_scalars, l);
      for (int c = 0; c < n_columns_; ++c) grad_radial_of_c_[c] = V{};
      if (l > 0) {
        for (int c = 0; c < n_columns_; ++c) x_[c] = radial_[c] * along_[told_of_[c]];
        add_row_gradients<1>(e, l - 1, angular(), [&](int k, int) { return grad_sums + k * width_; });
        for (int c = 0; c < n_columns_; ++c) {
          grad_radial_of_c_[c] += grad_x_[c] * along_[told_of_[c]];
          grad_along_[told_of_[c]] += grad_x_[c] * radial_[c];
        }
      }
      if (l < L_) {
        for (int a = 0; a < 3; ++a)
          for (int c = 0; c < n_columns_; ++c)
            x_[a * n_columns_ + c] = radial_[c] * load(vectors + a * M + told_of_[c] * lanes);
        add_row_gradients<3>(e, l, weighted(), [&](int k, int a) {
          return grad_sums + angular_sums.above[k][a] * width_ + task_.first_upper();
        });
        for (int a = 0; a < 3; ++a)
          for (int c = 0; c < n_columns_; ++c) {
            const int m = a * M + told_of_[c] * lanes;
            const V g = grad_x_[a * n_columns_ + c];
            grad_radial_of_c_[c] += g * load(vectors + m);
            store(grad_vectors + m, load(grad_vectors + m) + g * radial_[c]);
          }
      }
      add_radial_gradients(e, task_.has_scalars, l);
    }
    for (int m = 0; m < n_told_; ++m)
      for (int a = 0; a < 3; ++a) {
        Real *to = grad_vectors + a * M + m * lanes;
        store(to, load(to) + grad_along_[m] * angular()[(1 + a) * lanes + e]);
        by_angular_[(1 + a) * lanes + e] += grad_along_[m] * load(vectors + a * M + m * lanes);
      }
  }

  void make_radial_of(int e, int kind, int l)
  {
    for (int c = 0; c < n_columns_; ++c) {
      const V *w = radial_weights(kind, l, c);
      V sum{};
      for (int n = 0; n < n_rbf_; ++n) sum += broadcast(radial()[n * lanes + e]) * w[n];
      radial_[c] = sum;
    }
  }

  void add_radial_gradients(int e, int kind, int l)
  {
    in_pieces<8>(n_rbf_, [&]<int size>(int first, std::integral_constant<int, size>) {
      V sum[size] = {};
      for (int c = 0; c < n_columns_; ++c) {
        const V *w = radial_weights(kind, l, c) + first;
        for (int n = 0; n < size; ++n) sum[n] += w[n] * grad_radial_of_c_[c];
      }
      for (int n = 0; n < size; ++n) by_radial_[(first + n) * lanes + e] += sum[n];
    });
  }

  // Of Σ_k Y_k Σ_a Σ_c x_{a,c} g(k, a)_c, k of degree l: that by x becomes grad_x_, that by Y, or by û^𝐥 if Y is weighted, is
  // added to by_angular_.
  template <int n_parts, class Row>
  [[gnu::always_inline]] void add_row_gradients(int e, int l, const Real *Y, const Row &row)
  {
    const bool is_weighted = Y == weighted();
    for (int k = 0; k < n_parts * n_columns_; ++k) grad_x_[k] = V{};
    const int begin = angular_before(l);
    in_pieces<rows_at_once>(angular_before(l + 1) - begin, [&]<int size>(int at, std::integral_constant<int, size>) {
      V y[size], by_y[size] = {};
      const Real *g[size][n_parts];
      for (int i = 0; i < size; ++i) {
        y[i] = broadcast(Y[(begin + at + i) * lanes + e]);
        for (int a = 0; a < n_parts; ++a) g[i][a] = row(begin + at + i, a);
      }
      for (int c = 0; c < n_columns_; ++c)
        for (int a = 0; a < n_parts; ++a) {
          const V x = x_[a * n_columns_ + c];
          V by_x = grad_x_[a * n_columns_ + c];
          for (int i = 0; i < size; ++i) {
            const V grad = load(g[i][a] + c * lanes);
            by_x += grad * y[i];
            by_y[i] += grad * x;
          }
          grad_x_[a * n_columns_ + c] = by_x;
        }
      for (int i = 0; i < size; ++i) {
        const int k = begin + at + i;
        by_angular_[k * lanes + e] += is_weighted ? by_y[i] * Real(angular_sums.multinomial[k]) : by_y[i];
      }
    });
  }

  static V sums_of_lanes(const V *rows)
  {
    V square[lanes];
    for (int k = 0; k < lanes; ++k) square[k] = rows[k];
    transpose<Real>(square);
    V sum{};
    for (int k = 0; k < lanes; ++k) sum += square[k];
    return sum;
  }

  const TensorSum<Real> &task_;
  int L_, n_angular_, n_rbf_;
  int n_columns_, n_told_;    // vectors
  int row_, width_;           // numbers of a sender, and of a row of the sums
  int first_vector_;          // of what a sender says
  EdgeBasis<V> basis_;
  EdgeVectors<V> edges_;
  int64_t first_ = 0;
  int64_t place_[lanes] = {};                                                 // of what the senders say
  Scratch<V> weighted_;                                                       // M(𝐥) û^𝐥
  Scratch<int> told_of_;                                                      // the vector of m of that of c
  Scratch<V> radial_, along_, x_, grad_x_, grad_radial_of_c_, grad_along_;    // of an edge, by column
  Scratch<V> grad_sums_;
  Scratch<V> by_angular_, by_radial_;    // (N_l, edges), (n_rbf, edges), not yet summed over lanes
  Scratch<V> grad_angular_, grad_radial_;
};

template <class V> void tensor_sum(const TensorSum<RealOf<V>> &task, int64_t begin, int64_t end)
{
  TensorSummation<V> summation(task);
  for (int64_t atom = begin; atom < end; ++atom) summation.values(atom, task.sums + (atom - begin) * task.size());
}

template <class V> void tensor_sum_gradient(const TensorSum<RealOf<V>> &task, int64_t begin, int64_t end)
{
  TensorSummation<V> summation(task);
  for (int64_t atom = begin; atom < end; ++atom)
    summation.gradients(atom, task.grad_sums + (atom - begin) * task.size());
}

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
