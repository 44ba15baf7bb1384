// The weights of a model with freely mixed channels (nn/free_basis.py, nn/messages/tensors.py), as free_kernels.h wants
// them: rows filled with zeros up to whole vectors, matrices packed, and turned round for the way back.
#pragma once

#include "kernels/free_kernels.h"
#include "named_weights.h"

#include <map>
#include <memory>
#include <mutex>

namespace pair_cace {

// A table with zeros behind its rows, or whatever `axis` is, up to n, which is not less than there are.
Tensor filled_up(const Tensor &table, int64_t axis, int64_t n);

// Where the rows of a table are: row q of group g at first + g · group + q · row.
template <class Real> struct Rows {
  Real *first = nullptr;
  int64_t group = 0, row = 0;

  operator Rows<const Real>() const
    requires(!std::is_const_v<Real>)
  {
    return {first, group, row};
  }
};

// Which rows: of groups begin … end − 1, or those that `order` names there.
struct Groups {
  int64_t begin = 0, end = 0;
  int rows = 1;
  const int64_t *order = nullptr;
};

// A dense layer, y = W x + b.
template <class Real> class PackedMatrix {
 public:
  PackedMatrix() = default;
  // (inputs, outputs) and (outputs,), which may be undefined.
  PackedMatrix(const Tensor &weight, const Tensor &bias);

  // Of the gradient by x: whole vectors; x itself needs no more than the inputs.
  int n_in() const { return n_in_; }
  int n_out() const { return n_out_; }    // of y, whole vectors

  void values(const Groups &groups, Rows<const Real> x, Rows<Real> y, bool adds = false) const;
  // That by x, from that by y.
  void gradient(const Groups &groups, Rows<const Real> grad_y, Rows<Real> grad_x, bool adds = false) const;

 private:
  int n_rows_ = 0, n_in_ = 0, n_out_ = 0;    // of the matrix; and filled up
  Tensor weight_, turned_, bias_;
};

// What an atom of one element says.
template <class Real> struct SaysOfElement {
  PackedMatrix<Real> of_invariants, of_vectors;    // to scalars and gates, and to vectors, in the order of Gates
};

template <class Real> struct FreeMessage {
  bool has_scalars = false, has_vectors = false;
  Tensor memory;    // (L+1, P), or undefined
  Tensor radial;    // as in TensorSum
  std::vector<PackedMatrix<Real>>
      mixing;    // of every degree, of the columns of `TensorSum` that it has; with the norm
  Tensor scalars, scalars_bias, vector_gates, vector_gates_bias, vectors;    // of every trained element

  bool travels() const { return has_scalars || has_vectors; }
};

template <class Real> class FreeWeights {
 public:
  // Raises c10::Error if weights are not there, or do not fit each other.
  explicit FreeWeights(const NamedWeights &weights);

  Basis basis;
  int nu_max = 0, n_basis = 0, n_radial = 0;
  int n_products = 0, P = 0;    // as trained, and filled up
  int n_told = 0, M = 0,
      n_functions = 0;    // channels of what is told, as trained and filled up, and r; 0: no messages
  Tensor frequencies;
  std::vector<PackedMatrix<Real>> mixing;    // of every degree, of layer 0
  std::vector<FreeMessage<Real>> messages;
  std::vector<PackedMatrix<Real>> first;    // of the readout, of every layer: hidden outputs, and a linear one behind
  std::vector<PackedMatrix<Real>> tail;     // the other dense layers of the readout
  int n_hidden = 0;                         // outputs of the first, filled up
  bool has_linear = false;

  int n_layers() const { return static_cast<int>(messages.size()); }
  int n_invariants() const { return number_of_invariants(basis.l_max, nu_max); }
  int n_totals() const { return first[0].n_out(); }

  Told told(int t) const { return {M, messages[t].has_scalars, messages[t].has_vectors}; }

  // For layer t and an element by its atomic number; made when they are first asked for.
  const SaysOfElement<Real> &says(int t, int64_t atomic_number) const;

 private:
  FreeMessage<Real> read_message(const NamedWeights &weights, const std::string &layer);
  void read_channels(const NamedWeights &weights, const std::string &scalars, const std::string &vectors,
                     const FreeMessage<Real> &message);
  // The tensor of that name; raises c10::Error unless it has this shape, and the precision of the model.
  Tensor expected(const NamedWeights &weights, const std::string &name, at::IntArrayRef shape) const;
  Tensor by_channel(const Tensor &weight) const;    // (…, n_radial N_B C) to (…, N_B P)

  Tensor composition_;    // (119, trained elements)
  mutable std::mutex one_at_a_time_;
  mutable std::map<std::pair<int, int64_t>, std::unique_ptr<const SaysOfElement<Real>>> says_;
};

}    // namespace pair_cace
