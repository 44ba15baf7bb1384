// One column (n', c) of A after the other, from the raw sums of as many atoms as there are lanes, and the
// way back from its gradient. A never leaves the core: it is made, used, and made again by the gradient.
#pragma once

#include "invariants.h"
#include "lower_degrees.h"
#include "transpose.h"

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

// The invariants of one column, whatever the shape.
template <class T> struct ColumnInvariants {
  int n_features;
  const void *list;
  void (*values)(const void *list, const T *basis, T *invariants);
  void (*gradient)(const void *list, const T *basis, const T *grad_invariants, const T *start, T *grad_basis);

  template <class Invariants> static ColumnInvariants of(const Invariants &list)
  {
    return {list.n_features(), &list,
            [](const void *self, const T *basis, T *invariants) {
              static_cast<const Invariants *>(self)->values(basis, invariants);
            },
            [](const void *self, const T *basis, const T *grad_invariants, const T *start, T *grad_basis) {
              static_cast<const Invariants *>(self)->gradient(basis, grad_invariants, start, grad_basis);
            }};
  }

  // Straight code for common shapes, a list for all others.
  static ColumnInvariants of(int l_max, int nu_max)
  {
    static const FixedInvariants<2, 3> of_2_3;
    static const FixedInvariants<3, 3> of_3_3;
    static const FixedInvariants<4, 3> of_4_3;
    if (nu_max == 3 && l_max == 2) return of(of_2_3);
    if (nu_max == 3 && l_max == 3) return of(of_3_3);
    if (nu_max == 3 && l_max == 4) return of(of_4_3);
    return of(ListedInvariants::of(l_max, nu_max));
  }
};

// What memory holds of the raw sums: the 𝐥 from first_summed on, and columns w, or if there are n_species one for
// every species, with raw_w = Σ_species θ_{species,w} raw_species.
template <class Real> struct RawInMemory {
  int first_summed = 0;
  int n_species = 0;
  const Real *species = nullptr;    // (n_species, n_weights)
};

// Radial mixing: mixed_𝐥 = Σ_n raw_{𝐥,n,w} W^(l)_{n,n',c} and A_𝐥 = θ'_q mixed_𝐥, with c = (s, q), w = s or c.
template <class T> class Columns {
  using Real = RealOf<T>;
  using V = VectorOf<T>;

 public:
  // Of task: the shape and the weights.
  explicit Columns(const Mixing<Real> &task, const RawInMemory<Real> &memory = {})
      : task_(task), memory_(memory), n_angular_(task.n_angular()), n_channels_(task.n_channels()),
        column_size_(n_angular_ * task.n_rbf), n_in_memory_(memory.n_species > 0 ? memory.n_species : task.n_weights),
        size_((n_angular_ - memory.first_summed) * task.n_rbf * n_in_memory_), raw_(column_size_ * task.n_weights),
        grad_raw_(column_size_ * task.n_weights, unset), by_species_(column_size_ * memory.n_species),
        receiver_(task.n_basis), grad_receiver_(task.n_basis), place_(size_),
        weight_(size_ > 0 ? n_channels_ * weights_of(1) : 0),
        weight_tangent_(is_dual<T> && task.weight.tangent ? weight_.size() : 0)
  {
    int at = 0;
    for (int k = memory.first_summed; size_ > 0 && k < n_angular_; ++k)
      for (int n = 0; n < task.n_rbf; ++n)
        for (int w = 0; w < n_in_memory_; ++w) place_[at++] = (w * task.n_rbf + n) * n_angular_ + k;
    if (size_ == 0) return;
    arrange(task.weight.value, weight_.data());
    if (is_dual<T> && task.weight.tangent) arrange(task.weight.tangent, weight_tangent_.data());
  }

  int size() const { return size_; }    // raw sums of an atom in memory; 0 if there are none

  // The raw sums of n ≤ lanes atoms, and their θ'.
  void open(const Input<Real> &raw, const Input<Real> &receiver, int n)
  {
    if (size_ > 0) {
      T *read = memory_.species ? by_species_.data() : raw_.data();
      inputs_to_lanes<T>(
          raw, [&](int i) { return int64_t(i) * size_; }, n, size_, [&](int at) -> T & { return read[place_[at]]; });
      for (int at = 0; at < n_in_memory_ * column_size_; at += n_angular_)
        make_lower_degrees(memory_.first_summed, 1, [&](int k) { return read + at + k; });
      if (memory_.species) weight_species();
    }
    inputs_to_lanes<T>(
        receiver, [&](int i) { return int64_t(i) * task_.n_basis; }, n, task_.n_basis,
        [&](int q) -> T & { return receiver_[q]; });
  }

  void clear_gradients()
  {
    grad_raw_.clear();
    grad_receiver_.clear();
  }

  static constexpr int at_once = 4;    // columns of a channel at most that are made, or go back, in one pass

  // basis (size, N_l) = θ' mixed + extra, of columns (c, m) … (c, m + size − 1). extra, which may be null, has that
  // of the first of them, and of the next `row` behind it.
  template <int size> void make(int c, int m, const T *extra, int row, T *basis)
  {
    if (size_ == 0) {
      for (int i = 0; i < size; ++i)
        for (int k = 0; k < n_angular_; ++k) basis[i * n_angular_ + k] = extra ? extra[i * row + k] : zero<T>();
      return;
    }
    for (int i = 0; i < size; i += together)
      if (i + together <= size)
        mix<together>(c, m + i, basis + i * n_angular_);
      else
        mix<1>(c, m + i, basis + i * n_angular_);
    if (!extra) return;
    for (int i = 0; i < size; ++i)
      for (int k = 0; k < n_angular_; ++k) basis[i * n_angular_ + k] += extra[i * row + k];
  }

  // Adds what comes from the gradient by these columns, of which the next is `row` behind the first.
  template <int size> void add_gradients(int c, int m, const T *grad_basis, int row)
  {
    const T receiver = receiver_[c % task_.n_basis];
    V *grad_raw = grad_raw_.data() + raw_of(c);
    for (int l = 0; l <= task_.l_max; ++l)
      at_degree(l, [&]<int degree>(std::integral_constant<int, degree>) {
        constexpr int n_k = held_at_once(degree_size(degree));
        for (int begin = angular_before(degree); begin < angular_before(degree + 1); begin += n_k) {
          T grad_mixed[size][n_k];
          for (int i = 0; i < size; ++i)
            for (int k = 0; k < n_k; ++k) grad_mixed[i][k] = receiver * grad_basis[i * row + begin + k];
          for (int n = 0; n < task_.n_rbf; ++n) {
            V *to = grad_raw + n * n_angular_ + begin;
            V sum[n_k];
            for (int k = 0; k < n_k; ++k) sum[k] = to[k];
#pragma GCC unroll 4
            for (int i = 0; i < size; ++i) {
              const T factor = weight(weights_of(c, m + i, degree) + n);
              for (int k = 0; k < n_k; ++k) sum[k] += result_of(factor * grad_mixed[i][k]);
            }
            for (int k = 0; k < n_k; ++k) to[k] = sum[k];
          }
        }
      });
    if (!task_.grad_weight && !task_.grad_receiver) return;
    for (int i = 0; i < size; ++i) add_parameter_gradients(c, m + i, grad_basis + i * row);
  }

  // Gradients of all columns that were added, in rows of memory; null ones are not wanted.
  void write_gradients(Real *grad_raw, Real *grad_receiver, int n)
  {
    if (grad_raw) {
      V *found = grad_raw_.data();
      if constexpr (!is_dual<T>)
        if (memory_.species) found = gradient_by_species();
      for (int at = 0; at < n_in_memory_ * column_size_; at += n_angular_)
        add_lower_degrees(memory_.first_summed, 1, [&](int k) { return found + at + k; });
      lanes_to_rows<Real>([&](int i) { return grad_raw + int64_t(i) * size_; }, n, size_,
                          [&](int at) { return found[place_[at]]; }, Overwrite());
    }
    if (grad_receiver)
      lanes_to_rows<Real>([&](int i) { return grad_receiver + int64_t(i) * task_.n_basis; }, n, task_.n_basis,
                          [&](int q) { return grad_receiver_[q]; }, Overwrite());
  }

 private:
  static constexpr int degree_size(int l) { return angular_before(l + 1) - angular_before(l); }

  // How many of n 𝐥 are held in registers for all columns: a divisor of n.
  static constexpr int held_at_once(int n)
  {
    int size = many_registers && !is_dual<T> ? 5 : 3;
    while (n % size != 0) --size;
    return size;
  }

  // Columns for which raw is read once: as many as leave room in the registers.
  static constexpr int together = many_registers && !is_dual<T> ? 2 : 1;

  // basis (size, N_l) = θ' mixed
  template <int size> void mix(int c, int m, T *basis)
  {
    const T *raw = raw_.data() + raw_of(c);
    const T receiver = receiver_[c % task_.n_basis];
    for (int l = 0; l <= task_.l_max; ++l)
      at_degree(l, [&]<int degree>(std::integral_constant<int, degree>) {
        constexpr int begin = angular_before(degree), n_k = degree_size(degree);
        T sum[size * n_k];
        for (T &one : sum) one = zero<T>();
        for (int n = 0; n < task_.n_rbf; ++n) {
          T factor[size];
#pragma GCC unroll 2
          for (int i = 0; i < size; ++i) factor[i] = receiver * weight(weights_of(c, m + i, degree) + n);
#pragma GCC unroll 64
          for (int at = 0; at < size * n_k; ++at)
            sum[at] += factor[at % size] * raw[n * n_angular_ + begin + at / size];
        }
#pragma GCC unroll 64
        for (int at = 0; at < size * n_k; ++at) basis[at % size * n_angular_ + begin + at / size] = sum[at];
      });
  }

  // By W^(l)_n of column (c, m), and by θ': both from Σ_k raw_{k,n} ∂/∂A_k.
  void add_parameter_gradients(int c, int m, const T *grad_basis)
  {
    const int q = c % task_.n_basis;
    const T *raw = raw_.data() + raw_of(c);
    for (int l = 0; l <= task_.l_max; ++l)
      at_degree(l, [&]<int degree>(std::integral_constant<int, degree>) {
        constexpr int begin = angular_before(degree), end = angular_before(degree + 1);
        for (int n = 0; n < task_.n_rbf; ++n) {
          T sum = zero<T>();
#pragma GCC unroll 32
          for (int k = begin; k < end; ++k) sum += raw[n * n_angular_ + k] * grad_basis[k];
          grad_receiver_[q] += result_of(weight(weights_of(c, m, degree) + n) * sum);
          if (task_.grad_weight)
            task_.grad_weight[((degree * task_.n_rbf + n) * task_.n_radial + m) * n_channels_ + c] +=
                sum_of_lanes(result_of(receiver_[q] * sum));
        }
      });
  }

  // raw_ from by_species_
  void weight_species()
  {
    for (int w = 0; w < task_.n_weights; ++w)
      for (int at = 0; at < column_size_; ++at) {
        T sum = zero<T>();
        for (int s = 0; s < memory_.n_species; ++s)
          sum += broadcast(species_weight(s, w)) * by_species_[s * column_size_ + at];
        raw_[w * column_size_ + at] = sum;
      }
  }

  // grad_raw_ to by_species_
  V *gradient_by_species()
  {
    for (int s = 0; s < memory_.n_species; ++s)
      for (int at = 0; at < column_size_; ++at) {
        V sum{};
        for (int w = 0; w < task_.n_weights; ++w)
          sum += broadcast(species_weight(s, w)) * grad_raw_[w * column_size_ + at];
        by_species_[s * column_size_ + at] = sum;
      }
    return by_species_.data();
  }

  Real species_weight(int species, int w) const { return memory_.species[species * task_.n_weights + w]; }

  // W (l, n, n', c) to (c, n', l, n), the order in which it is used.
  void arrange(const Real *from, Real *to) const
  {
    for (int l = 0; l <= task_.l_max; ++l)
      for (int n = 0; n < task_.n_rbf; ++n)
        for (int m = 0; m < task_.n_radial; ++m)
          for (int c = 0; c < n_channels_; ++c) to[weights_of(c, m, l) + n] = *from++;
  }

  int64_t weights_of(int c, int m = 0, int l = 0) const
  {
    return (int64_t(c * task_.n_radial + m) * (task_.l_max + 1) + l) * task_.n_rbf;
  }

  T weight(int64_t at) const
  {
    if constexpr (is_dual<T>)
      return {broadcast(weight_.data()[at]), broadcast(task_.weight.tangent ? weight_tangent_.data()[at] : Real(0))};
    else
      return broadcast(weight_.data()[at]);
  }

  // Where the raw sums that go into channel c = (s, q) begin: (n_rbf, N_l) for every w = s or c.
  int64_t raw_of(int c) const
  {
    const int w = task_.n_weights == n_channels_ ? c : c / task_.n_basis;
    return int64_t(w) * n_angular_ * task_.n_rbf;
  }

  const Mixing<Real> &task_;
  RawInMemory<Real> memory_;
  int n_angular_, n_channels_;
  int column_size_;           // raw sums of a column
  int n_in_memory_, size_;    // columns, and sums of an atom
  Scratch<T> raw_;            // (n_weights, n_rbf, N_l): a column reads on
  Scratch<V> grad_raw_;
  Scratch<T> by_species_;    // (n_species, n_rbf, N_l), the raw sums or their gradient
  Scratch<T> receiver_;
  Scratch<V> grad_receiver_;
  Scratch<int> place_;                       // of (𝐥, n_rbf, columns), as it is in memory, in raw_ or by_species_
  Scratch<Real> weight_, weight_tangent_;    // W in the order (c, n', l, n)
};

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
