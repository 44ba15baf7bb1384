// What the torch operations over kernels/ have in common: inputs, edges by their ends, threads.
#pragma once

#include "cuda/cuda_kernels.h"
#include "kernels/kernels.h"
#include "threads.h"
#include "twice_differentiable.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <initializer_list>

namespace pair_cace {

template <class Real> Real *data_of(const Tensor &tensor)
{
  return tensor.defined() ? tensor.data_ptr<Real>() : nullptr;
}

template <class Real> Input<Real> input_of(const Inputs &x, const Inputs *direction, int k)
{
  return {data_of<Real>(x[k]), direction ? data_of<Real>((*direction)[k]) : nullptr};
}

// The kernels for where `tensor` is.
template <class Real> const Kernels<Real> &kernels_for(const Tensor &tensor)
{
  return tensor.is_cuda() ? cuda_kernels<Real>() : kernels<Real>();
}

// ---- checks; all raise c10::Error ----------------------------------------------------------------

void check_indices(const char *operation, const Tensor &index, int64_t n_atoms);
void check_vectors(const char *operation, const Tensor &vectors, const Tensor &senders, const Tensor &receivers);
void set_radial(Basis &basis, int64_t kind, double length);    // of a basis that knows its cutoff
void check_same_type(const char *operation, std::initializer_list<Tensor> tensors);

// ---- edges and threads ---------------------------------------------------------------------------

// Edges grouped by one of their ends (int64, (E,)); atoms are 0 … n_atoms − 1. Raises c10::Error if an
// index is outside. Edges that are in order already are not sorted.
class GroupedEdges {
 public:
  GroupedEdges(const char *operation, const Tensor &ends, int64_t n_atoms);

  // Of edges whose maker vouches for them, so that nobody waits for a GPU to look: those of atom i are
  // first[i] … first[i + 1] − 1; or they are in no order.
  static GroupedEdges of_first(const Tensor &first);
  static GroupedEdges in_no_order(const Tensor &ends, int64_t n_atoms);

  Grouping grouping() const;

 private:
  GroupedEdges() = default;
  void group(const Tensor &ends, int64_t n_atoms);
  void sort_by_torch(const Tensor &ends, int64_t n_atoms);    // on any device

  Tensor start_, order_;
};

// Splits 0 … n − 1 into as many shares as there are threads worth waking, at multiples of `step`, and
// calls body(begin, end, share). The same shares every time for the same number of threads. On a GPU, where `like` is,
// there is one share.
class Shares {
 public:
  Shares(int64_t n, int64_t step, int64_t multiply_adds, const Tensor &like);

  int count() const { return count_; }

  template <class Body> void run(const Body &body) const
  {
    in_shares(n_steps_, count_, [&](int64_t first, int64_t last, int share) {
      const int64_t begin = first * step_, end = std::min(n_, last * step_);
      if (begin < end) body(begin, end, share);
    });
  }

 private:
  int64_t n_, step_, n_steps_;
  int count_;
};

// Of small sums that all atoms add to, on a GPU: fewer atoms then wait for each other.
inline constexpr int copies_for_atoms = 64;

// A result that every share adds to: a copy for each, and their sum at the end. On a GPU there are n_copies, and the
// kernel chooses.
class SharedSum {
 public:
  SharedSum(bool wanted, const Tensor &like, const Shares &shares, int n_copies = 1);

  template <class Real> Real *of_share(int64_t share) const
  {
    return copies_.defined() ? copies_.data_ptr<Real>() + share * size_ : nullptr;
  }
  Tensor total() const;                         // undefined if not wanted
  int n_copies() const { return n_copies_; }    // that one share has

 private:
  Tensor copies_;
  int64_t size_ = 0;
  int n_copies_ = 1;
};

}    // namespace pair_cace
