// Sums over neighbours with one pair (n, w) of a radial function and a column of the weights per lane:
// sums (N_l, pairs) += Σ_e û^𝐥 · (R_n f_c weight_w). For columns that do not fill vectors.
//
// Columns that do fill one have vectors of a single radial function each. The pairs of the columns that are left
// follow, packed: row-major (n_rbf, n_left). A pair is made where it is used, by one multiplication.
#pragma once

#include "edge_basis.h"
#include "transpose.h"

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

template <class T> class PairSums {
  using Real = RealOf<T>;
  using V = VectorOf<T>;
  using Lanes = typename VecOf<Real>::Bits;    // numbers of lanes
  static constexpr int lanes = lanes_of<Real>;
  static constexpr int stride = sizeof(T) / sizeof(Real);    // of what has a value for every edge
  static constexpr int rows_at_once = many_registers ? 10 : 6;

 public:
  explicit PairSums(const NeighborSum<Real> &task)
      : task_(task), first_summed_(task.first_summed()), n_angular_(task.basis.n_angular()), n_rbf_(task.basis.n_rbf),
        n_weights_(task.n_weights), n_full_(n_weights_ / lanes), n_left_(n_weights_ % lanes),
        first_left_(n_full_ * n_rbf_), n_left_vectors_(vectors_for<Real>(n_rbf_ * n_left_)),
        n_vectors_(first_left_ + n_left_vectors_), sums_(n_angular_ * n_vectors_ + 1),
        radial_of_left_(left_row() * lanes), tangents_of_left_(is_dual<T> ? left_row() * lanes : 0),
        weight_of_lane_(n_left_vectors_)
  {
    for (int at = 0; at < n_left_vectors_ * lanes; ++at) weight_of_lane_[at / lanes][at % lanes] = at % n_left_;
  }

  // Multiplications per edge, and twice as much again for pairs that are left, which are loaded and shuffled.
  static int cost(const NeighborSum<Real> &task)
  {
    const int n_rbf = task.basis.n_rbf;
    const int n_left_vectors = vectors_for<Real>(n_rbf * (task.n_weights % lanes));
    const int n_vectors = task.n_weights / lanes * n_rbf + n_left_vectors;
    int rows = 0, blocks = 0;    // for every block of rows, pairs are made anew
    for (int d = 0; d < task.n_degrees; ++d) {
      const int of_degree = task.first_angular(d + 1) - task.first_angular(d);
      rows += of_degree;
      blocks += (of_degree + rows_at_once - 1) / rows_at_once;
    }
    return n_rbf + (blocks + rows) * n_vectors + 2 * blocks * n_left_vectors;
  }

  void clear() { sums_.clear(); }

  // n_edges edges, whose senders' weights begin at place_of_weights in task.weights.
  void add(const EdgeBasis<T> &basis, int n_edges, const int64_t *place_of_weights)
  {
    n_edges_ = n_edges;
    place_of_weights_ = place_of_weights;
    angular_ = reinterpret_cast<const Real *>(basis.angular());
    radial_ = reinterpret_cast<const Real *>(basis.radial());
    if (n_left_ > 0) repeat_radial();
    for (int d = 0; d < task_.n_degrees; ++d) {
      const int begin = task_.first_angular(d), end = task_.first_angular(d + 1);
      in_pieces<rows_at_once>(end - begin, [&]<int rows>(int k, std::integral_constant<int, rows>) {
        add_full<rows>(d, begin + k);
        add_left<rows>(d, begin + k);
      });
    }
  }

  // raw (summed 𝐥, n_rbf, n_weights)
  void store_to(Real *raw) const
  {
    const FirstLanes<Real> left(n_left_);
    for (int k = first_summed_; k < n_angular_; ++k) {
      const V *sum = sums_.data() + k * n_vectors_;
      const Real *of_left = reinterpret_cast<const Real *>(sum + first_left_);
      for (int n = 0; n < n_rbf_; ++n, raw += n_weights_, of_left += n_left_) {
        for (int c = 0; c < n_full_; ++c) store(raw + c * lanes, sum[c * n_rbf_ + n]);
        left.store(raw + n_full_ * lanes, load(of_left));
      }
    }
  }

 private:
  struct AllLanes {
    V load(const Real *p) const { return pair_cace::load(p); }
  };

  template <int rows> void add_full(int d, int k)
  {
    for (int c = 0; c < n_full_; ++c)
      in_pieces<2>(n_rbf_, [&]<int vectors>(int n, std::integral_constant<int, vectors>) {
        add_block<rows, vectors>(k, c * n_rbf_ + n, [&](int e, T(&pair)[vectors]) {
          const T w = weights_of(e, d, c * lanes, AllLanes());
          for (int j = 0; j < vectors; ++j) pair[j] = of_edge(radial_, n + j, e) * w;
        });
      });
  }

  template <int rows> void add_left(int d, int k)
  {
    const FirstLanes<Real> left(n_left_);
    in_pieces<2>(n_left_vectors_, [&]<int vectors>(int v, std::integral_constant<int, vectors>) {
      Lanes weight_of_lane[vectors];
      for (int j = 0; j < vectors; ++j) weight_of_lane[j] = weight_of_lane_[v + j];
      add_block<rows, vectors>(k, first_left_ + v, [&](int e, T(&pair)[vectors]) {
        const T w = weights_of(e, d, n_full_ * lanes, left);
        for (int j = 0; j < vectors; ++j) pair[j] = radial_of_left(e, v + j) * shuffled(w, weight_of_lane[j]);
      });
    });
  }

  // To the sums of rows k … and vectors `at` …, which stay in registers.
  template <int rows, int vectors, class Pairs>
  [[gnu::always_inline]] void add_block(int k, int at, const Pairs &pairs_of)
  {
    V sum[rows * vectors];    // with one index, or GCC 12 stores all of it for every edge
    V *const sums = sums_.data() + k * n_vectors_ + at;
#pragma GCC unroll 32
    for (int i = 0; i < rows * vectors; ++i) sum[i] = sums[i / vectors * n_vectors_ + i % vectors];
    for (int e = 0, n_edges = n_edges_; e < n_edges; ++e) {
      T pair[vectors];
      pairs_of(e, pair);
#pragma GCC unroll 32
      for (int i = 0; i < rows * vectors; ++i)
        sum[i] += result_of(of_edge(angular_, k + i / vectors, e) * pair[i % vectors]);
    }
#pragma GCC unroll 32
    for (int i = 0; i < rows * vectors; ++i) sums[i / vectors * n_vectors_ + i % vectors] = sum[i];
  }

  // Entry number `at` of edge e, in all lanes.
  static T of_edge(const Real *entries, int at, int e)
  {
    const Real *p = entries + at * stride + e;
    if constexpr (is_dual<T>)
      return {broadcast(p[0]), broadcast(p[lanes])};
    else
      return broadcast(*p);
  }

  // Weights of the sender of edge e, of degree d and from column `first` on.
  template <class Which> T weights_of(int e, int d, int first, const Which &used) const
  {
    const int64_t at = place_of_weights_[e] + d * n_weights_ + first;
    const V value = used.load(task_.weights.value + at);
    if constexpr (is_dual<T>)
      return {value, task_.weights.tangent ? used.load(task_.weights.tangent + at) : V{}};
    else
      return value;
  }

  // ---- columns that are left: what their pairs have in common for all degrees, the radial functions, each as often
  // as there are such columns, in a row for every edge

  int left_row() const { return n_left_vectors_ + 1; }    // vectors, and room for what is too much

  void repeat_radial()
  {
    repeat(radial_, radial_of_left_);
    if constexpr (is_dual<T>) repeat(radial_ + lanes, tangents_of_left_);
  }

  void repeat(const Real *radial, Scratch<V> &rows) const
  {
    const int n_edges = n_edges_, n_rbf = n_rbf_, n_left = n_left_, row = left_row() * lanes;
    Real *to = reinterpret_cast<Real *>(rows.data());
    if (n_left_vectors_ <= 2)
      return lanes_to_rows<Real>([&](int e) { return to + e * row; }, n_edges, n_rbf * n_left,
                                 [&](int k) { return load(radial + k / n_left * stride); }, Overwrite());
    for (int e = 0; e < n_edges; ++e, to += row)
      for (int n = 0; n < n_rbf; ++n)    // what a vector has too many, the next one overwrites
        store(to + n * n_left, broadcast(radial[n * stride + e]));
  }

  T radial_of_left(int e, int v) const
  {
    const int at = e * left_row() + v;
    if constexpr (is_dual<T>)
      return {radial_of_left_.data()[at], tangents_of_left_.data()[at]};
    else
      return radial_of_left_.data()[at];
  }

  static T shuffled(T x, Lanes from)
  {
    if constexpr (is_dual<T>)
      return {__builtin_shuffle(x.a, from), __builtin_shuffle(x.d, from)};
    else
      return __builtin_shuffle(x, from);
  }

  const NeighborSum<Real> &task_;
  int first_summed_, n_angular_, n_rbf_, n_weights_;
  int n_full_, n_left_;                            // vectors of columns, and columns behind them
  int first_left_, n_left_vectors_, n_vectors_;    // of pairs
  int n_edges_ = 0;
  const int64_t *place_of_weights_ = nullptr;
  const Real *angular_ = nullptr, *radial_ = nullptr;
  Scratch<V> sums_;                                 // (N_l, n_vectors)
  Scratch<V> radial_of_left_, tangents_of_left_;    // (edges, left_row)
  Scratch<Lanes> weight_of_lane_;                   // of left vectors of pairs
};

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
