// Radial mixing, and the invariants of what it gives, from tensor to tensor; one atom per lane.
//
// Counted per atom, with P = N_l · n_rbf and M = n_radial · C columns: value P·M multiply-adds and the
// terms of the invariants; gradient three times that. Read: raw, W; written: B.
#pragma once

#include "columns.h"
#include "slabs.h"

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

template <class T> class Mixer {
  using Real = RealOf<T>;
  using V = VectorOf<T>;
  static constexpr int at_once = Columns<T>::at_once;    // radial functions

 public:
  explicit Mixer(const Mixing<Real> &task)
      : task_(task), columns_(task), column_(ColumnInvariants<T>::of(task.l_max, task.nu_max)),
        n_angular_(task.n_angular()), n_channels_(task.n_channels()), n_invariants_(column_.n_features),
        basis_(at_once * n_angular_), grad_basis_(at_once * n_angular_), invariants_(n_invariants_),
        extra_(task.extra.value ? at_once * slab_size() : 0),
        slab_(task.grad_basis || task.grad_invariants ? at_once * slab_size() : 0), result_(at_once * slab_size()),
        invariant_result_(task.invariants ? slab_size() : 0), basis_slabs_(task.n_radial, n_angular_, n_channels_),
        invariant_slabs_(task.n_radial, n_invariants_, n_channels_)
  {
  }

  void values(int64_t first)
  {
    open_block(first);
    for (int m = 0; m < task_.n_radial; ++m) {
      basis_slabs_.read(task_.extra, first_, n_, m, extra_.data());
      for (int c = 0; c < n_channels_; ++c) {
        make_basis<1>(c, m);
        if (task_.basis)
          for (int k = 0; k < n_angular_; ++k) result_[c * n_angular_ + k] = result_of(basis_[k]);
        if (task_.invariants) {
          column_.values(column_.list, basis_.data(), invariants_.data());
          for (int f = 0; f < n_invariants_; ++f) invariant_result_[c * n_invariants_ + f] = result_of(invariants_[f]);
        }
      }
      basis_slabs_.write(result_.data(), first_, n_, m, task_.basis);
      invariant_slabs_.write(invariant_result_.data(), first_, n_, m, task_.invariants);
    }
  }

  void gradients(int64_t first)
  {
    open_block(first);
    columns_.clear_gradients();
    in_pieces<at_once>(task_.n_radial, [&]<int size>(int m, std::integral_constant<int, size>) {
      for (int i = 0; i < size; ++i) {
        basis_slabs_.read(task_.extra, first_, n_, m + i, slab(extra_, i));
        basis_slabs_.read({task_.grad_basis, nullptr}, first_, n_, m + i, slab(slab_, i));
        invariant_slabs_.read({task_.grad_invariants, nullptr}, first_, n_, m + i, slab(slab_, i));
      }
      for (int c = 0; c < n_channels_; ++c) {
        make_basis<size>(c, m);
        const T *gradient = make_basis_gradients<size>(c);
        const int row = task_.grad_basis ? slab_size() : n_angular_;
        for (int i = 0; task_.grad_extra && i < size; ++i)
          for (int k = 0; k < n_angular_; ++k) slab(result_, i)[c * n_angular_ + k] = result_of(gradient[i * row + k]);
        if (columns_.size() > 0) columns_.template add_gradients<size>(c, m, gradient, row);
      }
      for (int i = 0; i < size; ++i) basis_slabs_.write(slab(result_, i), first_, n_, m + i, task_.grad_extra);
    });
    columns_.write_gradients(task_.grad_raw ? task_.grad_raw + first * columns_.size() : nullptr,
                             task_.grad_receiver ? task_.grad_receiver + first * task_.n_basis : nullptr, n_);
  }

 private:
  int slab_size() const { return n_channels_ * (n_angular_ > n_invariants_ ? n_angular_ : n_invariants_); }

  // Number i of several radial functions.
  template <class Value> Value *slab(Scratch<Value> &slabs, int i) { return slabs.data() + i * slab_size(); }

  void open_block(int64_t first)
  {
    first_ = first;
    n_ = lanes_in_use<Real>(task_.n_atoms - first);
    columns_.open(task_.raw.from(first * columns_.size()), task_.receiver.from(first * task_.n_basis), n_);
  }

  template <int size> void make_basis(int c, int m)
  {
    columns_.template make<size>(c, m, task_.extra.value ? extra_.data() + c * n_angular_ : nullptr, slab_size(),
                                 basis_.data());
  }

  // Gradients by basis_, from those by it or by its invariants.
  template <int size> const T *make_basis_gradients(int c)
  {
    if (task_.grad_basis) return slab_.data() + c * n_angular_;
    for (int i = 0; i < size; ++i)
      column_.gradient(column_.list, basis_.data() + i * n_angular_, slab(slab_, i) + c * n_invariants_, nullptr,
                       grad_basis_.data() + i * n_angular_);
    return grad_basis_.data();
  }

  const Mixing<Real> &task_;
  Columns<T> columns_;
  ColumnInvariants<T> column_;
  int n_angular_, n_channels_, n_invariants_;
  int64_t first_ = 0;
  int n_ = 0;                        // atoms in this block
  Scratch<T> basis_, grad_basis_;    // (at_once, N_l)
  Scratch<T> invariants_;            // (N_B)
  Scratch<T> extra_, slab_;          // (at_once, C, entries)
  Scratch<V> result_, invariant_result_;
  Slabs<T> basis_slabs_, invariant_slabs_;
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
