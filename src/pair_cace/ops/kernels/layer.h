// A whole layer of a model, from edges to the first outputs of the dense layers, and back: what lies
// between is made for as many atoms as there are lanes, stays in the cache, and is forgotten.
//
// A neighbour sum that can be one by species, with fewer columns, is (see `species`).
//
// Counted per atom: the neighbour sum and the mixing (see there) and, with n outputs and M columns, M N_B n
// multiply-adds for the dense layers and as many for their gradient. Read and written: the edges and a row
// of raw (not in the last layer), once each way; with messages M or Ar also A of the layer before and of this one.
#pragma once

#include "columns.h"
#include "neighbor_sum.h"
#include "network.h"
#include "slabs.h"

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

template <class V> class LayerEvaluation {
  using Real = RealOf<V>;
  static constexpr int lanes = lanes_of<Real>;
  static constexpr int at_once = Columns<V>::at_once;    // radial functions

 public:
  explicit LayerEvaluation(const Layer<Real> &task)
      : task_(task), n_outputs_(task.n_readout + task.n_message), n_channels_(task.mixing.n_channels()),
        summation_(task.sum),
        columns_(task.mixing, {task.sum.first_summed(), task.species ? task.sum.n_weights : 0, task.species}),
        column_(ColumnInvariants<V>::of(task.mixing.l_max, task.mixing.nu_max)), readout_(task.readout),
        message_(task.message), raw_(lanes * task.sum.summed_size(), unset),
        slabs_(task.mixing.n_radial, task.mixing.n_angular(), n_channels_),
        extra_(task.mixing.extra.value ? at_once * slab_size() : 0, unset),
        grad_slabs_(task.grad_basis ? at_once * slab_size() : 0, unset),
        results_(task.basis || task.mixing.grad_extra ? at_once * slab_size() : 0, unset),
        basis_(at_once * task.mixing.n_angular()), grad_basis_(at_once * task.mixing.n_angular()),
        invariants_(at_once * column_.n_features), outputs_(n_outputs_), grad_outputs_(n_outputs_),
        grad_message_(task.message.n_out())
  {
  }

  // Totals, and the weights of the messages of the next layer.
  void values(int64_t first)
  {
    open(first);
    make_outputs(task_.raw + first * task_.sum.summed_size());
    write(task_.totals, task_.n_readout, outputs_.data());
    if (task_.n_message == 0) return;
    V *inputs = outputs_.data() + task_.n_readout;
    write(task_.message_inputs, task_.n_message, inputs);
    const V *weights = message_.values(inputs);
    load_sender_embedding();
    lanes_to_rows<Real>([&](int i) { return row_of(task_.next_weights_of_atoms, next_row(), i); }, n_, next_row(),
                        [&](int k) { return weights[place_of_message(k)] * sender_[sender_of(k)]; }, Overwrite());
  }

  // Of the last layer: energies and, as nothing else is to come, all gradients.
  void values_and_gradients(int64_t first)
  {
    open(first);
    make_outputs(raw_.data());
    const V *network = readout_.values(outputs_.data());
    const bool has_linear = task_.n_readout > task_.readout.n_in;
    const V energies = has_linear ? network[0] + outputs_[task_.readout.n_in] : network[0];
    FirstLanes<Real>(n_).store(task_.energies + first_, energies);

    const V one = broadcast(Real(1));
    const V *by_outputs = readout_.gradient(&one);
    for (int o = 0; o < task_.readout.n_in; ++o) grad_outputs_[o] = by_outputs[o];
    if (has_linear) grad_outputs_[task_.readout.n_in] = one;
    if (!task_.is_first) write(task_.grad_totals, task_.n_readout, grad_outputs_.data());
    add_gradients(false);
  }

  // Of the other layers, when the gradients by their totals and messages are complete.
  void gradients(int64_t first)
  {
    open(first);
    read(task_.grad_totals, task_.n_readout, grad_outputs_.data());
    if (task_.n_message > 0) add_gradients_of_message();
    columns_.open({task_.raw + first * task_.sum.summed_size(), nullptr}, receivers(), n_);
    add_gradients(true);
  }

 private:
  void open(int64_t first)
  {
    first_ = first;
    n_ = lanes_in_use<Real>(task_.mixing.n_atoms - first);
  }

  Input<Real> receivers() const { return task_.mixing.receiver.from(first_ * task_.mixing.n_basis); }

  template <class Pointer> Pointer row_of(Pointer table, int row, int i) const { return table + (first_ + i) * row; }

  void write(Real *table, int row, const V *values)
  {
    lanes_to_rows<Real>([&](int i) { return row_of(table, row, i); }, n_, row, [&](int k) { return values[k]; },
                        Overwrite());
  }

  void read(const Real *table, int row, V *values)
  {
    rows_to_lanes<Real>([&](int i) { return row_of(table, row, i); }, n_, row, [&](int k, V x) { values[k] = x; });
  }

  // ---- from edges to outputs ---------------------------------------------------------------------------

  bool has_sum() const { return task_.sum.n_weights > 0; }

  // Adds to the totals of the layers before.
  void make_outputs(Real *raw)
  {
    const int64_t size = task_.sum.summed_size();
    for (int i = 0; has_sum() && i < n_; ++i) summation_.values(first_ + i, raw + i * size);
    columns_.open({raw, nullptr}, receivers(), n_);
    if (!task_.is_first) read(task_.totals, task_.n_readout, outputs_.data());
    for (int o = task_.is_first ? 0 : task_.n_readout; o < n_outputs_; ++o) outputs_[o] = V{};
    for (int o = 0; o < n_outputs_; ++o) outputs_[o] += task_.bias[o];
    in_columns(task_.basis, [&]<int size>(int c, int m, std::integral_constant<int, size>) {
      make_basis<size>(c, m);
      for (int i = 0; i < size; ++i) {
        if (task_.basis) keep_result(c, i, basis_.data() + i * n_angular());
        column_.values(column_.list, basis_.data() + i * n_angular(), invariants_.data() + i * column_.n_features);
      }
      add_outputs(weight_of(c, m), size * column_.n_features);
    });
  }

  // Calls body(c, m, size) for the columns (c, m) … (c, m + size − 1), for all columns. A that comes in or
  // goes out does so in slabs: then all channels of some radial functions follow each other, and what
  // keep_result was given is written to `results`.
  template <class Body> void in_columns(Real *results, const Body &body)
  {
    const int n_radial = task_.mixing.n_radial;
    if (!task_.mixing.extra.value && !task_.grad_basis && !results) {
      for (int c = 0; c < n_channels_; ++c)
        in_pieces<at_once>(n_radial,
                           [&]<int size>(int m, std::integral_constant<int, size> pieces) { body(c, m, pieces); });
      return;
    }
    in_pieces<at_once>(n_radial, [&]<int size>(int m, std::integral_constant<int, size> pieces) {
      for (int i = 0; i < size; ++i) {
        slabs_.read(task_.mixing.extra, first_, n_, m + i, extra_.data() + i * slab_size());
        slabs_.read({task_.grad_basis, nullptr}, first_, n_, m + i, grad_slabs_.data() + i * slab_size());
      }
      for (int c = 0; c < n_channels_; ++c) body(c, m, pieces);
      for (int i = 0; i < size; ++i) slabs_.write(results_.data() + i * slab_size(), first_, n_, m + i, results);
    });
  }

  int n_angular() const { return task_.mixing.n_angular(); }
  int slab_size() const { return n_channels_ * n_angular(); }

  // Where column c begins in slab i.
  V *column_of(Scratch<V> &slabs, int c, int i) { return slabs.data() + i * slab_size() + c * n_angular(); }

  template <int size> void make_basis(int c, int m)
  {
    columns_.template make<size>(c, m, task_.mixing.extra.value ? column_of(extra_, c, 0) : nullptr, slab_size(),
                                 basis_.data());
  }

  void keep_result(int c, int i, const V *column)
  {
    V *to = column_of(results_, c, i);
    for (int k = 0; k < n_angular(); ++k) to[k] = column[k];
  }

  const Real *weight_of(int c, int m) const
  {
    return task_.weight + int64_t(c * task_.mixing.n_radial + m) * column_.n_features * n_outputs_;
  }

  // outputs += Wᵀ invariants, W (n_invariants, n_outputs): those of several columns, so that outputs are read and
  // written once for all of them.
  void add_outputs(const Real *weight, int n_invariants)
  {
    in_pieces<12>(n_outputs_, [&]<int size>(int o, std::integral_constant<int, size>) {
      V sum[size];
      for (int k = 0; k < size; ++k) sum[k] = outputs_[o + k];
      for (int f = 0; f < n_invariants; ++f) {
        const V x = invariants_[f];
        const Real *w = weight + f * n_outputs_ + o;
#pragma GCC unroll 12
        for (int k = 0; k < size; ++k) sum[k] += w[k] * x;
      }
      for (int k = 0; k < size; ++k) outputs_[o + k] = sum[k];
    });
  }

  // ---- back --------------------------------------------------------------------------------------------

  void add_gradients(bool adds)
  {
    columns_.clear_gradients();
    in_columns(task_.mixing.grad_extra, [&]<int size>(int c, int m, std::integral_constant<int, size>) {
      make_basis<size>(c, m);
      make_invariant_gradients(weight_of(c, m), size * column_.n_features);
      for (int i = 0; i < size; ++i) {
        V *grad_basis = grad_basis_.data() + i * n_angular();
        column_.gradient(column_.list, basis_.data() + i * n_angular(), invariants_.data() + i * column_.n_features,
                         task_.grad_basis ? column_of(grad_slabs_, c, i) : nullptr, grad_basis);
        if (task_.mixing.grad_extra) keep_result(c, i, grad_basis);
      }
      if (has_sum()) columns_.template add_gradients<size>(c, m, grad_basis_.data(), n_angular());
    });
    if (!has_sum()) return;
    columns_.write_gradients(raw_.data(), nullptr, n_);
    for (int i = 0; i < n_; ++i) summation_.gradients(first_ + i, raw_.data() + i * task_.sum.summed_size(), adds);
  }

  // invariants_, of several columns = W grad_outputs
  void make_invariant_gradients(const Real *weight, int n_invariants)
  {
    in_pieces<12>(n_invariants, [&]<int size>(int f, std::integral_constant<int, size>) {
      V sum[size] = {};
      for (int o = 0; o < n_outputs_; ++o) {
        const V g = grad_outputs_[o];
        const Real *w = weight + f * n_outputs_ + o;
#pragma GCC unroll 12
        for (int k = 0; k < size; ++k) sum[k] += w[k * n_outputs_] * g;
      }
      for (int k = 0; k < size; ++k) invariants_[f + k] = sum[k];
    });
  }

  // ---- weights of the messages: θ_s times what the network says ------------------------------------

  void add_gradients_of_message()
  {
    V *inputs = outputs_.data() + task_.n_readout;
    read(task_.message_inputs, task_.n_message, inputs);
    message_.values(inputs);
    load_sender_embedding();
    grad_message_.clear();
    rows_to_lanes<Real>([&](int i) { return row_of(task_.grad_next_weights, next_row(), i); }, n_, next_row(),
                        [&](int k, V x) { grad_message_[place_of_message(k)] += x * sender_[sender_of(k)]; });
    const V *by_inputs = message_.gradient(grad_message_.data());
    for (int o = 0; o < task_.n_message; ++o) grad_outputs_[task_.n_readout + o] = by_inputs[o];
  }

  int next_row() const { return task_.next_degrees * task_.next_weights; }

  // The output of the network that entry k = (l, w) of the weights is made of.
  int place_of_message(int k) const { return task_.message.n_out() == next_row() ? k : k / task_.next_weights; }

  // The s of entry k: w is s, or (s, q).
  int sender_of(int k) const
  {
    const int w = k % task_.next_weights;
    return task_.next_weights == n_channels_ ? w / task_.mixing.n_basis : w;
  }

  void load_sender_embedding()
  {
    const int n_basis = task_.mixing.n_basis;
    rows_to_lanes<Real>([&](int i) { return row_of(task_.sender, n_basis, i); }, n_, n_basis,
                        [&](int s, V x) { sender_[s] = x; });
  }

  const Layer<Real> &task_;
  int n_outputs_, n_channels_;
  int64_t first_ = 0;
  int n_ = 0;    // atoms in this block
  NeighborSummation<V> summation_;
  Columns<V> columns_;
  ColumnInvariants<V> column_;
  TailEvaluation<V> readout_, message_;
  Scratch<Real> raw_;    // of a block, or its gradient
  Slabs<V> slabs_;
  Scratch<V> extra_, grad_slabs_, results_;    // (at_once, C, N_l)
  Scratch<V> basis_, grad_basis_;              // (at_once, N_l)
  Scratch<V> invariants_;                      // (at_once, N_B), or the gradient by them
  Scratch<V> outputs_, grad_outputs_, grad_message_;
  Scratch<V> sender_{task_.mixing.n_basis};
};

template <class V> void layer(const Layer<RealOf<V>> &task, int64_t begin, int64_t end)
{
  LayerEvaluation<V> evaluation(task);
  for (int64_t first = begin; first < end; first += lanes_of<RealOf<V>>) evaluation.values(first);
}

template <class V> void last_layer(const Layer<RealOf<V>> &task, int64_t begin, int64_t end)
{
  LayerEvaluation<V> evaluation(task);
  for (int64_t first = begin; first < end; first += lanes_of<RealOf<V>>) evaluation.values_and_gradients(first);
}

template <class V> void layer_gradient(const Layer<RealOf<V>> &task, int64_t begin, int64_t end)
{
  LayerEvaluation<V> evaluation(task);
  for (int64_t first = begin; first < end; first += lanes_of<RealOf<V>>) evaluation.gradients(first);
}

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
