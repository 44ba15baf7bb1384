// Sums over neighbours. The basis, and all gradients, have one edge per lane. The sums have one column of
// the weights per lane if these fill vectors, or otherwise one pair of radial function and column (pair_sums.h).
//
// Counted per edge, with P = n_rbf times the 𝐥 that are summed, W = n_weights: value P·W multiply-adds;
// gradient P·W by the vector, P·W by the weights. Read: 12 bytes of vector and the weights of the sender; written: none.
#pragma once

#include "edge_basis.h"
#include "lower_degrees.h"
#include "pair_sums.h"
#include "transpose.h"

#include <optional>

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

template <class T> class NeighborSummation {
  using Real = RealOf<T>;
  using V = VectorOf<T>;
  static constexpr int lanes = lanes_of<Real>;

 public:
  explicit NeighborSummation(const NeighborSum<Real> &task)
      : task_(task), n_angular_(task.basis.n_angular()), n_rbf_(task.basis.n_rbf), n_weights_(task.n_weights),
        first_summed_(task.first_summed()), n_products_(n_angular_ * n_rbf_), row_(task.row()),
        columns_(vectors_for<Real>(n_weights_)),
        by_pairs_(PairSums<T>::cost(task) < (n_angular_ - first_summed_) * n_rbf_ * columns_),
        basis_(task.basis, task.frequencies), sums_(by_pairs_ ? 0 : n_products_ * columns_),
        chi_(by_pairs_ ? 0 : n_products_), grad_chi_(n_products_), weights_by_lane_(row_), grad_weights_(row_),
        grad_radial_(n_rbf_), grad_angular_(n_angular_), grad_frequencies_(n_rbf_)
  {
    if (by_pairs_) pairs_.emplace(task);
  }

  // raw (summed 𝐥, n_rbf, n_weights) of the atom
  void values(int64_t atom, Real *raw)
  {
    if (by_pairs_) {
      pairs_->clear();
      for_each_block<false>(atom, [&] { pairs_->add(basis_, edges_.n, place_of_weights_); });
      pairs_->store_to(raw);
    } else {
      sums_.clear();
      for_each_block<false>(atom, [&] { add_by_columns(); });
      store_columns(raw);
    }
  }

  // From the gradient by its raw, of the same shape. That by the vectors is added if `adds`.
  void gradients(int64_t atom, const Real *grad_raw, bool adds = false)
  {
    const bool by_chi = task_.grad_vectors || task_.grad_frequencies;
    for_each_block<true>(atom, [&] {
      load_weights_by_lane();
      for (int n = 0; n < n_rbf_; ++n) grad_radial_[n] = zero<T>();
      if (task_.grad_weights && by_chi)
        make_gradients<true, true>(grad_raw);
      else if (by_chi)
        make_gradients<false, true>(grad_raw);
      else
        make_gradients<true, false>(grad_raw);
      if (task_.grad_weights) add_weight_gradients();
      if (by_chi) add_vector_gradients(adds);
    });
  }

  void finish()
  {
    if (task_.grad_frequencies)
      for (int n = 0; n < n_rbf_; ++n) task_.grad_frequencies[n] += sum_of_lanes(grad_frequencies_[n]);
  }

 private:
  template <bool with_slopes, class Body> void for_each_block(int64_t atom, const Body &body)
  {
    for_blocks_of_edges<with_slopes>(task_, atom, row_, edges_, basis_, place_of_weights_, [&](int64_t first) {
      first_ = first;
      body();
    });
  }

  // ---- values, one column per lane: sums (products, columns) += Σ_e chi · weights --------------------

  void add_by_columns()
  {
    make_chi(first_summed_);
    const Real *chi = reinterpret_cast<const Real *>(chi_.data());
    if constexpr (is_dual<T>) {
      add_by_columns<true>(chi + lanes, task_.weights.value);
      if (task_.weights.tangent) add_by_columns<false>(chi, task_.weights.tangent);
    } else {
      add_by_columns<true>(chi, task_.weights.value);
    }
  }

  // χ of one 𝐥
  void make_chi(int k)
  {
    const T angular = basis_.angular()[k];
    for (int n = 0; n < n_rbf_; ++n) chi_[k * n_rbf_ + n] = angular * basis_.radial()[n];
  }

  // Makes the next χ while it adds: stores beside multiplications.
  template <bool makes_chi> void add_by_columns(const Real *chi, const Real *table)
  {
    for (int c = 0; c < columns_; ++c) {
      const FirstLanes<Real> used(n_weights_ - c * lanes);
      for (int d = 0; d < task_.n_degrees; ++d) {
        V w[lanes];
#pragma GCC unroll 16
        for (int e = 0; e < lanes; ++e) w[e] = used.load(table + place_of_weights_[e] + d * n_weights_ + c * lanes);
        for (int k = task_.first_angular(d); k < task_.first_angular(d + 1); ++k) {
          if (makes_chi && c == 0 && k + 1 < n_angular_) make_chi(k + 1);
          int p = k * n_rbf_;
          for (; p + 2 <= (k + 1) * n_rbf_; p += 2) add_products<2>(chi, w, p, c);
          if (p < (k + 1) * n_rbf_) add_products<1>(chi, w, p, c);
        }
      }
    }
  }

  // Of products p … p + size − 1, in short chains.
  template <int size> [[gnu::always_inline]] void add_products(const Real *chi, const V (&w)[lanes], int p, int c)
  {
    constexpr int stride = sizeof(T) / sizeof(Real);
    V part[size][2] = {};
#pragma GCC unroll 16
    for (int e = 0; e < lanes; ++e)
      for (int i = 0; i < size; ++i) part[i][e % 2] += chi[(p + i) * stride + e] * w[e];
    for (int i = 0; i < size; ++i) sums_[(p + i) * columns_ + c] += part[i][0] + part[i][1];
  }

  void store_columns(Real *raw)
  {
    const int begin = first_summed_ * n_rbf_;
    for (int c = 0; c < columns_; ++c) {
      const FirstLanes<Real> used(n_weights_ - c * lanes);
      for (int p = begin; p < n_products_; ++p)
        used.store(raw + (p - begin) * n_weights_ + c * lanes, sums_[p * columns_ + c]);
    }
  }

  // ---- gradients, one edge per lane ------------------------------------------------------------------

  // By the weights of the senders, and by χ, from there on by the radial and the angular functions: every entry of
  // grad_raw is read once for both.
  template <bool by_weights, bool by_chi> void make_gradients(const Real *grad_raw)
  {
    constexpr int at_once = many_registers ? (is_dual<T> ? 6 : 12) : is_dual<T> ? 4 : 5;    // columns
    for (int d = 0; d < task_.n_degrees; ++d)
      in_pieces<at_once>(n_weights_, [&]<int size>(int w, std::integral_constant<int, size>) {
        T weight[size];
        V gradient[size] = {};
        for (int i = 0; i < size; ++i) weight[i] = weights_by_lane_[d * n_weights_ + w + i];
        const bool is_last = w + size == n_weights_;
        for (int k = task_.first_angular(d); k < task_.first_angular(d + 1); ++k) {
          const T angular = basis_.angular()[k];
          T grad_angular = zero<T>();
          for (int n = 0; n < n_rbf_; ++n) {
            const int p = k * n_rbf_ + n;
            const Real *g = grad_raw + (p - first_summed_ * n_rbf_) * n_weights_ + w;
            const V chi = result_of(angular * basis_.radial()[n]);
            T sum[2] = {w == 0 ? zero<T>() : grad_chi_[p], zero<T>()};
#pragma GCC unroll 12
            for (int i = 0; i < size; ++i) {
              const V x = broadcast(g[i]);
              if constexpr (by_weights) gradient[i] += chi * x;
              if constexpr (by_chi) sum[i % 2] += x * weight[i];
            }
            if constexpr (!by_chi) continue;
            const T grad_chi = sum[0] + sum[1];
            if (!is_last) {
              grad_chi_[p] = grad_chi;
              continue;
            }
            grad_radial_[n] += grad_chi * angular;
            grad_angular += grad_chi * basis_.radial()[n];
          }
          if (by_chi && is_last) grad_angular_[k] = grad_angular;
        }
        if constexpr (by_weights)
          for (int i = 0; i < size; ++i) grad_weights_[d * n_weights_ + w + i] = gradient[i];
      });
  }

  void add_weight_gradients()
  {
    lanes_to_rows<Real>([&](int e) { return task_.grad_weights + place_of_weights_[e]; }, edges_.n, row_,
                        [&](int k) { return grad_weights_[k]; }, AddTo());
  }

  void add_vector_gradients(bool adds)
  {
    for (int k = 0; k < first_summed_; ++k) grad_angular_[k] = zero<T>();
    T grad_vector[3];
    basis_.gradient(edges_, grad_radial_.data(), grad_angular_.data(), grad_vector,
                    task_.grad_frequencies ? grad_frequencies_.data() : nullptr);
    if (task_.grad_vectors) edges_.store_gradient(grad_vector, task_.by_receiver, first_, task_.grad_vectors, adds);
  }

  // weights_by_lane_ (n_degrees, n_weights)
  void load_weights_by_lane()
  {
    inputs_to_lanes<T>(
        task_.weights, [&](int e) { return place_of_weights_[e]; }, edges_.n, row_,
        [&](int k) -> T & { return weights_by_lane_[k]; });
  }

  const NeighborSum<Real> &task_;
  int n_angular_, n_rbf_, n_weights_, first_summed_, n_products_;
  int row_;        // weights of a sender
  int columns_;    // vectors for all weights
  bool by_pairs_;
  std::optional<PairSums<T>> pairs_;
  EdgeBasis<T> basis_;
  EdgeVectors<T> edges_;
  int64_t first_ = 0;
  int64_t place_of_weights_[lanes] = {};    // of the senders; edges that are not there repeat the first
  Scratch<V> sums_;
  Scratch<T> chi_, grad_chi_;    // (N_l, n_rbf)
  Scratch<T> weights_by_lane_;
  Scratch<V> grad_weights_;
  Scratch<T> grad_radial_, grad_angular_;
  Scratch<V> grad_frequencies_;
};

template <class T> void neighbor_sum(const NeighborSum<RealOf<T>> &task, int64_t begin, int64_t end)
{
  NeighborSummation<T> summation(task);
  const int first = task.first_summed(), row = task.basis.n_rbf * task.n_weights;
  for (int64_t atom = begin; atom < end; ++atom) {
    auto *raw = task.raw + atom * task.size();
    summation.values(atom, raw + first * row);
    make_lower_degrees(first, row, [&](int k) { return raw + k * row; });
  }
}

template <class T> void neighbor_sum_gradient(const NeighborSum<RealOf<T>> &task, int64_t begin, int64_t end)
{
  using Real = RealOf<T>;
  NeighborSummation<T> summation(task);
  const int first = task.first_summed(), row = task.basis.n_rbf * task.n_weights;
  Scratch<Real> with_lower(first > 0 ? task.size() : 0);
  for (int64_t atom = begin; atom < end; ++atom) {
    const Real *grad_raw = task.grad_raw + atom * task.size();
    if (first > 0) {
      std::memcpy(with_lower.data(), grad_raw, task.size() * sizeof(Real));
      add_lower_degrees(first, row, [&](int k) { return with_lower.data() + k * row; });
      grad_raw = with_lower.data() + first * row;
    }
    summation.gradients(atom, grad_raw, task.adds_to_vectors);
  }
  summation.finish();
}

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
