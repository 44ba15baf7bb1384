// Invariants and vectors of product channels, one channel per lane, and the way back.
//
// Counted per atom and vector of channels: the invariants (invariants.h), one multiplication and one multiply-add for
// every product of a vector (27 for L = 3), twice that for its gradient; A, B and v are written once, or read.
#pragma once

#include "columns.h"
#include "free_kernels.h"

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

template <class V> class Channels {
  using Real = RealOf<V>;
  static constexpr int lanes = lanes_of<Real>;

 public:
  explicit Channels(const ProductChannels<Real> &task)
      : task_(task), n_angular_(n_angular_up_to(task.l_max)), P_(task.n_channels),
        column_(ColumnInvariants<V>::of(task.l_max, task.nu_max)), basis_(n_angular_), grad_basis_(n_angular_),
        invariants_(column_.n_features), vectors_(3 * task.l_max)
  {
  }

  void values(int64_t atom)
  {
    for (int p = 0; p < P_; p += lanes) {
      open(atom, p);
      for (int k = 0; k < n_angular_; ++k) store(at(task_.basis, n_angular_, k), basis_[k]);
      column_.values(column_.list, basis_.data(), invariants_.data());
      for (int f = 0; f < column_.n_features; ++f) store(at(task_.invariants, column_.n_features, f), invariants_[f]);
      if (task_.vectors) make_vectors();
    }
  }

  // From A, which `values` has made.
  void gradients(int64_t atom)
  {
    const Real *factor = task_.factor ? task_.factor + atom * P_ : nullptr;
    for (int p = 0; p < P_; p += lanes) {
      atom_ = atom;
      p_ = p;
      for (int k = 0; k < n_angular_; ++k) {
        basis_[k] = load(at(task_.basis, n_angular_, k));
        grad_basis_[k] = task_.grad_by_next ? load(at(task_.grad_by_next, n_angular_, k)) : V{};
      }
      for (int f = 0; f < column_.n_features; ++f)
        invariants_[f] = load(at(task_.grad_invariants, column_.n_features, f));
      column_.gradient(column_.list, basis_.data(), invariants_.data(), grad_basis_.data(), grad_basis_.data());
      if (task_.grad_vectors) add_gradients_of_vectors();
      for (int l = 0, k = 0; l <= task_.l_max; ++l)
        for (; k < n_angular_up_to(l); ++k) {
          if (task_.grad_before) store(at(task_.grad_before, n_angular_, k), grad_basis_[k] * memory(l));
          store(at(task_.grad_basis, n_angular_, k), factor ? grad_basis_[k] * load(factor + p) : grad_basis_[k]);
        }
    }
  }

 private:
  template <class Pointer> Pointer at(Pointer table, int n_rows, int row) const
  {
    return table + (atom_ * n_rows + row) * P_ + p_;
  }

  V memory(int l) const { return load(task_.memory + l * P_ + p_); }

  void open(int64_t atom, int p)
  {
    atom_ = atom;
    p_ = p;
    for (int l = 0, k = 0; l <= task_.l_max; ++l)
      for (; k < n_angular_up_to(l); ++k) {
        V x = load(at(task_.basis, n_angular_, k));
        if (task_.factor) x = x * load(task_.factor + atom * P_ + p);
        if (task_.memory) x += memory(l) * load(at(task_.before, n_angular_, k));
        basis_[k] = x;
      }
  }

  // Calls body(α L + κ, 𝐜, 𝐜 + e_α, M(𝐜)) for all products of the vectors v^κ_α, from κ = |𝐜| = 1 on.
  template <class Body> [[gnu::always_inline]] void for_products(const Body &body) const
  {
    for (int l = 1; l < task_.l_max; ++l)
      for (int c = angular_before(l); c < angular_before(l + 1); ++c)
        for (int a = 0; a < 3; ++a)
          body(a * task_.l_max + l, c, angular_sums.above[c][a], Real(angular_sums.multinomial[c]));
  }

  void make_vectors()
  {
    const int n = 3 * task_.l_max;
    for (int k = 0; k < n; ++k) vectors_[k] = V{};
    for (int a = 0; a < 3; ++a) vectors_[a * task_.l_max] = basis_[1 + a];
    for_products([&](int entry, int lower, int upper, Real coefficient) {
      vectors_[entry] += coefficient * basis_[lower] * basis_[upper];
    });
    for (int k = 0; k < n; ++k) store(at(task_.vectors, n, k), vectors_[k]);
  }

  void add_gradients_of_vectors()
  {
    const int n = 3 * task_.l_max;
    for (int k = 0; k < n; ++k) vectors_[k] = load(at(task_.grad_vectors, n, k));
    for (int a = 0; a < 3; ++a) grad_basis_[1 + a] += vectors_[a * task_.l_max];
    for_products([&](int entry, int lower, int upper, Real coefficient) {
      const V g = coefficient * vectors_[entry];
      grad_basis_[lower] += g * basis_[upper];
      grad_basis_[upper] += g * basis_[lower];
    });
  }

  const ProductChannels<Real> &task_;
  int n_angular_, P_;
  ColumnInvariants<V> column_;
  int64_t atom_ = 0;
  int p_ = 0;
  Scratch<V> basis_, grad_basis_, invariants_, vectors_;    // of a vector of channels, or gradients by them
};

template <class V> void channels(const ProductChannels<RealOf<V>> &task, int64_t begin, int64_t end)
{
  Channels<V> evaluation(task);
  for (int64_t atom = begin; atom < end; ++atom) evaluation.values(atom);
}

template <class V> void channels_gradient(const ProductChannels<RealOf<V>> &task, int64_t begin, int64_t end)
{
  Channels<V> evaluation(task);
  for (int64_t atom = begin; atom < end; ++atom) evaluation.gradients(atom);
}

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
