// Radial mixing, and the invariants of what it gives; one atom per lane. A never leaves the core: it is
// made column by column (n', c), used, and made again by the gradient.
//
// Counted per atom, with P = N_l · n_rbf and M = n_radial · C columns: value P·M multiply-adds and the
// terms of the invariants; gradient three times that. Read: raw, W; written: B.
#pragma once

#include "invariants.h"
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

template <class T> class Mixer {
  using Real = RealOf<T>;
  using V = VectorOf<T>;
  static constexpr int lanes = lanes_of<Real>;

 public:
  explicit Mixer(const Mixing<Real> &task)
      : task_(task), column_(ColumnInvariants<T>::of(task.l_max, task.nu_max)), n_angular_(task.n_angular()), n_channels_(task.n_channels()),
        n_raw_(task.raw.value ? n_angular_ * task.n_rbf * task.n_weights : 0),
        n_invariants_(column_.n_features), raw_(n_raw_), grad_raw_(n_raw_),
        receiver_(task.n_basis), grad_receiver_(task.n_basis), mixed_(n_angular_), basis_(n_angular_),
        grad_basis_(n_angular_), grad_mixed_(n_angular_), invariants_(n_invariants_),
        extra_(task.extra.value ? n_channels_ * n_angular_ : 0), slab_(n_channels_ * largest_slab()),
        result_(n_channels_ * largest_slab()), place_in_raw_(n_raw_),
        place_of_basis_(n_channels_ * n_angular_), place_of_invariant_(n_channels_ * n_invariants_),
        weight_(n_raw_ > 0 ? n_channels_ * weights_of(1) : 0),
        weight_tangent_(n_raw_ > 0 && is_dual<T> && task.weight.tangent ? n_channels_ * weights_of(1)
                                                                        : 0)
  {
    list_places_in_raw();
    list_places_in_slab(n_angular_, place_of_basis_.data());
    list_places_in_slab(n_invariants_, place_of_invariant_.data());
    if (n_raw_ == 0) return;
    arrange(task.weight.value, weight_.data());
    if (is_dual<T> && task.weight.tangent) arrange(task.weight.tangent, weight_tangent_.data());
  }

  void values(int64_t first)
  {
    open_block(first);
    for (int m = 0; m < task_.n_radial; ++m) {
      read_slab(task_.extra, n_angular_, m, extra_.data());
      for (int c = 0; c < n_channels_; ++c) {
        make_basis(c, m);
        if (task_.basis)
          for (int k = 0; k < n_angular_; ++k) result_[c * n_angular_ + k] = result_of(basis_[k]);
        if (task_.invariants) {
          column_.values(column_.list, basis_.data(), invariants_.data());
          for (int f = 0; f < n_invariants_; ++f)
            result_[c * n_invariants_ + f] = result_of(invariants_[f]);
        }
      }
      if (task_.basis) write_slab(result_.data(), n_angular_, m, task_.basis);
      if (task_.invariants) write_slab(result_.data(), n_invariants_, m, task_.invariants);
    }
  }

  void gradients(int64_t first)
  {
    open_block(first);
    grad_raw_.clear();
    grad_receiver_.clear();
    for (int m = 0; m < task_.n_radial; ++m) {
      read_slab(task_.extra, n_angular_, m, extra_.data());
      read_slab({task_.grad_basis, nullptr}, n_angular_, m, slab_.data());
      read_slab({task_.grad_invariants, nullptr}, n_invariants_, m, slab_.data());
      for (int c = 0; c < n_channels_; ++c) {
        make_basis(c, m);
        if (task_.grad_basis)
          for (int k = 0; k < n_angular_; ++k) grad_basis_[k] = slab_[c * n_angular_ + k];
        if (task_.grad_invariants) {
          for (int k = 0; k < n_angular_; ++k) grad_basis_[k] = zero<T>();
          column_.gradient(column_.list, basis_.data(), slab_.data() + c * n_invariants_,
                           grad_basis_.data());
        }
        if (task_.grad_extra)
          for (int k = 0; k < n_angular_; ++k)
            result_[c * n_angular_ + k] = result_of(grad_basis_[k]);
        if (n_raw_ > 0) add_mixing_gradient(c, m);
      }
      if (task_.grad_extra) write_slab(result_.data(), n_angular_, m, task_.grad_extra);
    }
    if (task_.grad_raw)
      write(task_.grad_raw, n_raw_, 0, n_raw_, [&](int at) { return grad_raw_[place_in_raw_[at]]; });
    if (task_.grad_receiver)
      write(task_.grad_receiver, task_.n_basis, 0, task_.n_basis,
            [&](int q) { return grad_receiver_[q]; });
  }

 private:
  // ---- mixing --------------------------------------------------------------------------------------

  // W (l, n, n', c) to (c, n', l, n), the order in which it is used.
  void arrange(const Real *from, Real *to) const
  {
    for (int l = 0; l <= task_.l_max; ++l)
      for (int n = 0; n < task_.n_rbf; ++n)
        for (int m = 0; m < task_.n_radial; ++m)
          for (int c = 0; c < n_channels_; ++c)
            to[((c * task_.n_radial + m) * (task_.l_max + 1) + l) * task_.n_rbf + n] =
                *from++;
  }

  int64_t weights_of(int c, int m = 0) const
  {
    return int64_t(c * task_.n_radial + m) * (task_.l_max + 1) * task_.n_rbf;
  }

  int largest_slab() const { return n_angular_ > n_invariants_ ? n_angular_ : n_invariants_; }

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

  // mixed_ (N_l) = Σ_n raw W, and basis_ = θ' mixed_ + extra
  void make_basis(int c, int m)
  {
    if (n_raw_ > 0) {
      const T *raw = raw_.data() + raw_of(c);
      const T receiver = receiver_[c % task_.n_basis];
      for (int l = 0; l <= task_.l_max; ++l)
        at_degree(l, [&]<int degree>(std::integral_constant<int, degree>) {
          constexpr int begin = angular_before(degree), size = angular_before(degree + 1) - begin;
          const int64_t w = weights_of(c, m) + degree * task_.n_rbf;
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
            basis_[begin + k] = receiver * sum[k];
          }
        });
    }
    if (task_.extra.value) {
      const T *extra = extra_.data() + c * n_angular_;
      for (int k = 0; k < n_angular_; ++k) basis_[k] = n_raw_ > 0 ? basis_[k] + extra[k] : extra[k];
    }
  }

  void add_mixing_gradient(int c, int m)
  {
    const T receiver = receiver_[c % task_.n_basis];
    V grad_receiver{};
    for (int k = 0; k < n_angular_; ++k) {
      grad_receiver += result_of(mixed_[k] * grad_basis_[k]);
      grad_mixed_[k] = receiver * grad_basis_[k];
    }
    grad_receiver_[c % task_.n_basis] += grad_receiver;

    const T *raw = raw_.data() + raw_of(c);
    V *grad_raw = grad_raw_.data() + raw_of(c);
    const bool wants_weight = task_.grad_weight != nullptr;
    for (int l = 0; l <= task_.l_max; ++l)
      at_degree(l, [&]<int degree>(std::integral_constant<int, degree>) {
        constexpr int begin = angular_before(degree), size = angular_before(degree + 1) - begin;
        const int64_t w = weights_of(c, m) + degree * task_.n_rbf;
        const T *gradient = grad_mixed_.data() + begin;
        for (int n = 0; n < task_.n_rbf; ++n) {
          const T factor = weight(w + n);
          V *to = grad_raw + n * n_angular_ + begin;
#pragma GCC unroll 32
          for (int k = 0; k < size; ++k) to[k] += result_of(factor * gradient[k]);
          if (!wants_weight) continue;
          V grad_weight{};
#pragma GCC unroll 32
          for (int k = 0; k < size; ++k)
            grad_weight += result_of(raw[n * n_angular_ + begin + k] * gradient[k]);
          task_.grad_weight[((degree * task_.n_rbf + n) * task_.n_radial + m) * n_channels_ + c] +=
              sum_of_lanes(grad_weight);
        }
      });
  }

  // ---- between tensors (atom first) and lanes --------------------------------------------------

  void open_block(int64_t first)
  {
    first_ = first;
    n_ = static_cast<int>(task_.n_atoms - first < lanes ? task_.n_atoms - first : lanes);
    read(task_.raw, n_raw_, 0, n_raw_, [&](int at) -> T & { return raw_[place_in_raw_[at]]; });
    read(task_.receiver, task_.n_basis, 0, task_.n_basis, [&](int q) -> T & { return receiver_[q]; });
  }

  // (N_l, n_rbf, n_weights) in memory, (n_weights, n_rbf, N_l) here: a column of the mixing reads on.
  void list_places_in_raw()
  {
    int at = 0;
    for (int k = 0; n_raw_ > 0 && k < n_angular_; ++k)
      for (int n = 0; n < task_.n_rbf; ++n)
        for (int w = 0; w < task_.n_weights; ++w)
          place_in_raw_[at++] = (w * task_.n_rbf + n) * n_angular_ + k;
  }

  // (entries, C) of one radial function in memory, (C, entries) here.
  void list_places_in_slab(int n_entries, int *places) const
  {
    for (int k = 0, at = 0; k < n_entries; ++k)
      for (int c = 0; c < n_channels_; ++c) places[at++] = c * n_entries + k;
  }

  const int *places_in_slab(int n_entries)
  {
    return n_entries == n_angular_ ? place_of_basis_.data() : place_of_invariant_.data();
  }

  // Radial function m of a tensor (N, n_radial, entries, C); does nothing without a tensor.
  void read_slab(const Input<Real> &from, int n_entries, int m, T *slab)
  {
    const int size = n_entries * n_channels_;
    const int *place = places_in_slab(n_entries);
    read(from, task_.n_radial * size, m * size, size, [&](int at) -> T & { return slab[place[at]]; });
  }

  void write_slab(const V *slab, int n_entries, int m, Real *to)
  {
    const int size = n_entries * n_channels_;
    const int *place = places_in_slab(n_entries);
    write(to, task_.n_radial * size, m * size, size, [&](int at) { return slab[place[at]]; });
  }

  // Entries begin … begin + n_entries − 1 of the rows of this block; place(k) is where entry k goes.
  template <class Place>
  void read(const Input<Real> &from, int64_t row, int64_t begin, int n_entries, const Place &place)
  {
    if (!from.value) return;
    const auto rows_of = [&](const Real *table) {
      return [=, this](int i) { return table + (first_ + i) * row + begin; };
    };
    rows_to_lanes<Real>(rows_of(from.value), n_, n_entries,
                        [&](int k, V x) { place(k) = constant<T>(x); });
    if constexpr (is_dual<T>)
      if (from.tangent)
        rows_to_lanes<Real>(rows_of(from.tangent), n_, n_entries,
                            [&](int k, V x) { place(k).d = x; });
  }

  // The other way; give(k) is entry k.
  template <class Give>
  void write(Real *to, int64_t row, int64_t begin, int n_entries, const Give &give)
  {
    lanes_to_rows<Real>([&](int i) { return to + (first_ + i) * row + begin; }, n_, n_entries, give,
                        [](Real *at, V x, FirstLanes<Real> used) { used.store(at, x); });
  }

  const Mixing<Real> &task_;
  ColumnInvariants<T> column_;
  int n_angular_, n_channels_, n_raw_, n_invariants_;
  int64_t first_ = 0;
  int n_ = 0;    // atoms in this block
  Scratch<T> raw_;
  Scratch<V> grad_raw_;
  Scratch<T> receiver_;
  Scratch<V> grad_receiver_;
  Scratch<T> mixed_, basis_, grad_basis_, grad_mixed_;    // (N_l), one column
  Scratch<T> invariants_;                                 // (N_B)
  Scratch<T> extra_, slab_;                               // (C, entries), one radial function
  Scratch<V> result_;
  Scratch<int> place_in_raw_, place_of_basis_, place_of_invariant_;
  Scratch<Real> weight_, weight_tangent_;    // W in the order (c, n', l, n)
};

template <class T> void mixing(const Mixing<RealOf<T>> &task, int64_t begin, int64_t end)
{
  Mixer<T> mixer(task);
  for (int64_t first = begin; first < end; first += lanes_of<RealOf<T>>) mixer.values(first);
}

template <class T> void mixing_gradient(const Mixing<RealOf<T>> &task, int64_t begin, int64_t end)
{
  Mixer<T> mixer(task);
  for (int64_t first = begin; first < end; first += lanes_of<RealOf<T>>) mixer.gradients(first);
}

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
