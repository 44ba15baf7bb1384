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
  void (*gradient)(const void *list, const T *basis, const T *grad_invariants, T *grad_basis);

  template <class Invariants> static ColumnInvariants of(const Invariants &list)
  {
    return {list.n_features(), &list,
            [](const void *self, const T *basis, T *invariants) {
              static_cast<const Invariants *>(self)->values(basis, invariants);
            },
            [](const void *self, const T *basis, const T *grad_invariants, T *grad_basis) {
              static_cast<const Invariants *>(self)->gradient(basis, grad_invariants, grad_basis);
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
        column_size_(n_angular_ * task.n_rbf),
        n_in_memory_(memory.n_species > 0 ? memory.n_species : task.n_weights),
        size_((n_angular_ - memory.first_summed) * task.n_rbf * n_in_memory_),
        raw_(column_size_ * task.n_weights), grad_raw_(column_size_ * task.n_weights),
        by_species_(column_size_ * memory.n_species), receiver_(task.n_basis), grad_receiver_(task.n_basis),
        mixed_(n_angular_), grad_mixed_(at_once * n_angular_), place_(size_),
        weight_(size_ > 0 ? n_channels_ * weights_of(1) : 0),
        weight_tangent_(is_dual<T> && task.weight.tangent ? weight_.size() : 0)
  {
    int at = 0;
    for (int k = memory.first_summed; size_ > 0 && k < n_angular_; ++k)
      for (int n = 0; n < task.n_rbf; ++n)
        for (int w = 0; w < n_in_memory_; ++w)
          place_[at++] = (w * task.n_rbf + n) * n_angular_ + k;
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
          raw, [&](int i) { return int64_t(i) * size_; }, n, size_,
          [&](int at) -> T & { return read[place_[at]]; });
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

  // basis (N_l) = θ' mixed + extra, which may be null
  void make(int c, int m, const T *extra, T *basis)
  {
    if (size_ == 0) {
      for (int k = 0; k < n_angular_; ++k) basis[k] = extra ? extra[k] : zero<T>();
      return;
    }
    const T *raw = raw_.data() + raw_of(c);
    const T receiver = receiver_[c % task_.n_basis];
    for (int l = 0; l <= task_.l_max; ++l)
      at_degree(l, [&]<int degree>(std::integral_constant<int, degree>) {
        constexpr int begin = angular_before(degree), size = angular_before(degree + 1) - begin;
        const int64_t w = weights_of(c, m, degree);
        T sum[size];
        for (T &one : sum) one = zero<T>();
        for (int n = 0; n < task_.n_rbf; ++n) {
          const T factor = weight(w + n);
#pragma GCC unroll 32
          for (int k = 0; k < size; ++k) sum[k] += factor * raw[n * n_angular_ + begin + k];
        }
#pragma GCC unroll 32
        for (int k = 0; k < size; ++k) {
          mixed_[begin + k] = sum[k];
          basis[begin + k] = receiver * sum[k];
        }
      });
    if (!extra) return;
    for (int k = 0; k < n_angular_; ++k) basis[k] += extra[k];
  }

  static constexpr int at_once = 4;    // columns whose gradients are held

  // Takes the gradient by column (c, …), the one that was made last, to place i < at_once.
  void hold_gradient(int c, int i, const T *grad_basis)
  {
    const T receiver = receiver_[c % task_.n_basis];
    T *grad_mixed = grad_mixed_.data() + i * n_angular_;
    V grad_receiver{};
    for (int k = 0; k < n_angular_; ++k) {
      grad_receiver += result_of(mixed_[k] * grad_basis[k]);
      grad_mixed[k] = receiver * grad_basis[k];
    }
    grad_receiver_[c % task_.n_basis] += grad_receiver;
  }

  // Adds what is held in places 0 … size − 1, of columns (c, m) … (c, m + size − 1).
  template <int size> void add_gradients(int c, int m)
  {
    const T *raw = raw_.data() + raw_of(c);
    V *grad_raw = grad_raw_.data() + raw_of(c);
    const bool wants_weight = task_.grad_weight != nullptr;
    for (int l = 0; l <= task_.l_max; ++l)
      at_degree(l, [&]<int degree>(std::integral_constant<int, degree>) {
        constexpr int begin = angular_before(degree), end = angular_before(degree + 1);
        for (int n = 0; n < task_.n_rbf; ++n) {
          T factor[size];
          for (int i = 0; i < size; ++i) factor[i] = weight(weights_of(c, m + i, degree) + n);
          V *to = grad_raw + n * n_angular_;
#pragma GCC unroll 32
          for (int k = begin; k < end; ++k) {
            V sum = to[k];
#pragma GCC unroll 4
            for (int i = 0; i < size; ++i) sum += result_of(factor[i] * grad_mixed_[i * n_angular_ + k]);
            to[k] = sum;
          }
          if (!wants_weight) continue;
          for (int i = 0; i < size; ++i) {
            V grad_weight{};
#pragma GCC unroll 32
            for (int k = begin; k < end; ++k)
              grad_weight += result_of(raw[n * n_angular_ + k] * grad_mixed_[i * n_angular_ + k]);
            task_.grad_weight[((degree * task_.n_rbf + n) * task_.n_radial + m + i) * n_channels_ + c] +=
                sum_of_lanes(grad_weight);
          }
        }
      });
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
      lanes_to_rows<Real>([&](int i) { return grad_receiver + int64_t(i) * task_.n_basis; }, n,
                          task_.n_basis, [&](int q) { return grad_receiver_[q]; }, Overwrite());
  }

 private:
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
          for (int c = 0; c < n_channels_; ++c)
            to[weights_of(c, m, l) + n] = *from++;
  }

  int64_t weights_of(int c, int m = 0, int l = 0) const
  {
    return (int64_t(c * task_.n_radial + m) * (task_.l_max + 1) + l) * task_.n_rbf;
  }

  T weight(int64_t at) const
  {
    if constexpr (is_dual<T>)
      return {broadcast(weight_.data()[at]),
              broadcast(task_.weight.tangent ? weight_tangent_.data()[at] : Real(0))};
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
  int column_size_;                      // raw sums of a column
  int n_in_memory_, size_;               // columns, and sums of an atom
  Scratch<T> raw_;         // (n_weights, n_rbf, N_l): a column reads on
  Scratch<V> grad_raw_;
  Scratch<T> by_species_;    // (n_species, n_rbf, N_l), the raw sums or their gradient
  Scratch<T> receiver_;
  Scratch<V> grad_receiver_;
  Scratch<T> mixed_, grad_mixed_;            // (N_l) of one column, (at_once, N_l)
  Scratch<int> place_;                       // of (𝐥, n_rbf, columns), as it is in memory, in raw_ or by_species_
  Scratch<Real> weight_, weight_tangent_;    // W in the order (c, n', l, n)
};

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
