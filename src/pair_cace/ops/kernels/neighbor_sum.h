// Sums over neighbours. Two arrangements of lanes, and no transposition between them: the basis and its
// gradient have one edge per lane, the sums over edges one column w of the weights per lane.
//
// Counted per edge, with P = N_l · n_rbf, W = n_weights: value P·W multiply-adds; gradient P·W by the
// vector, P·W by the weights. Read: 12 bytes of vector and the weights of the sender; written: none.
#pragma once

#include "edge_basis.h"

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

template <class T> class NeighborSummation {
  using Real = RealOf<T>;
  using V = VectorOf<T>;
  static constexpr int lanes = lanes_of<Real>;

 public:
  explicit NeighborSummation(const NeighborSum<Real> &task)
      : task_(task), n_products_(task.basis.n_angular() * task.basis.n_rbf),
        columns_(vectors_for<Real>(task.n_weights)), basis_(task.basis, task.frequencies),
        chi_(n_products_), grad_chi_(task.grad_raw ? n_products_ : 0), sums_(n_products_ * columns_),
        weights_(int64_t(lanes) * task.n_degrees * columns_),
        weight_tangents_(int64_t(lanes) * task.n_degrees * columns_),
        weights_by_lane_(task.grad_raw ? task.n_degrees * task.n_weights : 0),
        grad_frequencies_(task.basis.n_rbf)
  {}

  void values(int64_t atom)
  {
    sums_.clear();
    for_each_block(atom, [&] {
      load_weights();
      add_to_sums(results_of_chi(), weights_.data());
      if (is_dual<T> && task_.weights.tangent)
        add_to_sums(values_of_chi(), weight_tangents_.data());
    });
    Real *raw = task_.raw + atom * n_products_ * task_.n_weights;
    for (int p = 0; p < n_products_; ++p)
      for (int c = 0; c < columns_; ++c)
        store_first(raw + p * task_.n_weights + c * lanes, sums_[p * columns_ + c],
                    task_.n_weights - c * lanes);
  }

  void gradients(int64_t atom)
  {
    const Real *grad_raw = task_.grad_raw + atom * n_products_ * task_.n_weights;
    for (int p = 0; p < n_products_; ++p)    // with whole vectors for every product
      for (int c = 0; c < columns_; ++c)
        sums_[p * columns_ + c] =
            load_first(grad_raw + p * task_.n_weights + c * lanes, task_.n_weights - c * lanes);
    for_each_block(atom, [&] {
      if (task_.grad_weights) add_to_weight_gradients();
      if (task_.grad_vectors || task_.grad_frequencies) {
        load_weights_by_lane();
        chi_gradient(grad_raw);
        T grad_vector[3];
        basis_.gradient(edges_, grad_chi_.data(), grad_vector,
                        task_.grad_frequencies ? grad_frequencies_.data() : nullptr);
        if (task_.grad_vectors)
          edges_.store_gradient(grad_vector, task_.by_receiver, first_, task_.grad_vectors);
      }
    });
  }

  void finish()
  {
    if (task_.grad_frequencies)
      for (int n = 0; n < task_.basis.n_rbf; ++n)
        task_.grad_frequencies[n] += sum_of_lanes(grad_frequencies_[n]);
  }

 private:
  template <class Body> void for_each_block(int64_t atom, const Body &body)
  {
    const int64_t end = task_.by_receiver.start[atom + 1];
    for (first_ = task_.by_receiver.start[atom]; first_ < end; first_ += lanes) {
      edges_.load(task_.vectors, task_.by_receiver, first_, end, task_.basis.cutoff);
      basis_.evaluate(edges_, chi_.data());
      body();
    }
  }

  int64_t sender(int lane) const
  {
    return task_.senders[task_.by_receiver.edge(first_ + lane)];
  }

  // Products of degree d: all of them if there is one weight for all l.
  int first_product(int d) const
  {
    return task_.n_degrees == 1 ? d * n_products_ : angular_before(d) * task_.basis.n_rbf;
  }

  // weights_ (n_degrees, columns, lanes of edges) of whole vectors; edges that are not there weigh 0.
  void load_weights()
  {
    load_weights(task_.weights.value, weights_.data());
    if (is_dual<T> && task_.weights.tangent)
      load_weights(task_.weights.tangent, weight_tangents_.data());
  }

  void load_weights(const Real *from, V *to)
  {
    const int n = task_.n_degrees * task_.n_weights;
    for (int e = 0; e < lanes; ++e) {
      const Real *row = e < edges_.n ? from + sender(e) * n : nullptr;
      for (int d = 0; d < task_.n_degrees; ++d)
        for (int c = 0; c < columns_; ++c)
          to[(d * columns_ + c) * lanes + e] = row
              ? load_first(row + d * task_.n_weights + c * lanes, task_.n_weights - c * lanes)
              : V{};
    }
  }

  // chi_ as plain numbers, (products, chi_stride): the values, and what a result is made of (the
  // values, or in the dual case the derivatives).
  static constexpr int chi_stride = sizeof(T) / sizeof(Real);
  const Real *values_of_chi() { return reinterpret_cast<const Real *>(chi_.data()); }
  const Real *results_of_chi() { return values_of_chi() + (is_dual<T> ? lanes : 0); }

  // sums (products, columns) += Σ_e chi · weights
  void add_to_sums(const Real *chi, const V *weights)
  {
    for (int d = 0; d < task_.n_degrees; ++d)
      for (int c = 0; c < columns_; ++c) {
        V w[lanes];
        for (int e = 0; e < lanes; ++e) w[e] = weights[(d * columns_ + c) * lanes + e];
        const int end = first_product(d + 1);
        for (int p = first_product(d); p < end; ++p) {
          const Real *x = chi + int64_t(p) * chi_stride;
          V even = sums_[p * columns_ + c], odd{};
#pragma GCC unroll 16
          for (int e = 0; e < lanes; e += 2) {
            even += x[e] * w[e];
            odd += x[e + 1] * w[e + 1];
          }
          sums_[p * columns_ + c] = even + odd;
        }
      }
  }

  // grad_weights of the senders += Σ_{𝐥 of degree l, n} chi · grad_raw
  void add_to_weight_gradients()
  {
    const Real *chi = results_of_chi();
    for (int d = 0; d < task_.n_degrees; ++d)
      for (int c = 0; c < columns_; ++c) {
        V gradient[lanes] = {};
        const int end = first_product(d + 1);
        for (int p = first_product(d); p < end; ++p) {
          const Real *x = chi + int64_t(p) * chi_stride;
          const V g = sums_[p * columns_ + c];
#pragma GCC unroll 16
          for (int e = 0; e < lanes; ++e) gradient[e] += x[e] * g;
        }
        const int used = task_.n_weights - c * lanes;
        for (int e = 0; e < edges_.n; ++e) {
          Real *to = task_.grad_weights + (sender(e) * task_.n_degrees + d) * task_.n_weights + c * lanes;
          store_first(to, load_first(to, used) + gradient[e], used);
        }
      }
  }

  // weights_by_lane_ (n_degrees, n_weights), one edge per lane
  void load_weights_by_lane()
  {
    const int n = task_.n_degrees * task_.n_weights;
    const Real *rows[lanes], *tangents[lanes];
    for (int e = 0; e < edges_.n; ++e) {
      rows[e] = task_.weights.value + sender(e) * n;
      tangents[e] = task_.weights.tangent ? task_.weights.tangent + sender(e) * n : nullptr;
    }
    for (int k = 0; k < n; ++k) {
      V value{}, tangent{};
      for (int e = 0; e < edges_.n; ++e) value[e] = rows[e][k];
      if constexpr (is_dual<T>) {
        if (task_.weights.tangent)
          for (int e = 0; e < edges_.n; ++e) tangent[e] = tangents[e][k];
        weights_by_lane_[k] = {value, tangent};
      } else {
        weights_by_lane_[k] = value;
      }
    }
  }

  // grad_chi (products) = Σ_w grad_raw · weights
  void chi_gradient(const Real *grad_raw)
  {
    for (int d = 0; d < task_.n_degrees; ++d) {
      const T *w = weights_by_lane_.data() + d * task_.n_weights;
      const int end = first_product(d + 1);
      for (int p = first_product(d); p < end; ++p) {
        const Real *g = grad_raw + int64_t(p) * task_.n_weights;
        T total = zero<T>();
        for (int c = 0; c < task_.n_weights; ++c) total += (V{} + g[c]) * w[c];
        grad_chi_[p] = total;
      }
    }
  }

  const NeighborSum<Real> &task_;
  int n_products_, columns_;
  EdgeBasis<T> basis_;
  EdgeVectors<T> edges_;
  int64_t first_ = 0;
  Scratch<T> chi_, grad_chi_;    // (products)
  Scratch<V> sums_;              // (products, columns): the sums, or their gradient
  Scratch<V> weights_, weight_tangents_;
  Scratch<T> weights_by_lane_;
  Scratch<V> grad_frequencies_;
};

template <class T> void neighbor_sum(const NeighborSum<RealOf<T>> &task, int64_t begin, int64_t end)
{
  NeighborSummation<T> summation(task);
  for (int64_t atom = begin; atom < end; ++atom) summation.values(atom);
}

template <class T>
void neighbor_sum_gradient(const NeighborSum<RealOf<T>> &task, int64_t begin, int64_t end)
{
  NeighborSummation<T> summation(task);
  for (int64_t atom = begin; atom < end; ++atom) summation.gradients(atom);
  summation.finish();
}

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
