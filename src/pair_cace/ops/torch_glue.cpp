#include "torch_glue.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/all.h>
#include <ATen/ops/aminmax.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/slice.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/stack.h>

#include <torch/library.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <string>
#include <utility>

namespace pair_cace {

void check_indices(const char *operation, const Tensor &index, int64_t n_atoms)
{
  TORCH_CHECK(index.dim() == 1 && index.scalar_type() == at::kLong, operation,
              ": expected indices of shape (E,) and type int64, got shape ", index.sizes(), " and type ",
              index.scalar_type());
  if (!index.is_cpu()) {
    if (index.numel() == 0) return;
    const auto [low, high] = at::aminmax(index);
    const Tensor both = at::stack({low, high}).cpu();
    const int64_t smallest = both[0].item<int64_t>(), largest = both[1].item<int64_t>();
    TORCH_CHECK(smallest >= 0 && largest < n_atoms, operation, ": expected indices from 0 to ", n_atoms - 1,
                ", got some from ", smallest, " to ", largest);
    return;
  }
  const Tensor kept = index.contiguous();
  const int64_t *p = kept.const_data_ptr<int64_t>();
  in_shares(index.size(0), worthwhile_shares(index.size(0)), [&](int64_t begin, int64_t end, int) {
    int64_t smallest = 0, largest = 0;    // first without branches: it is asked in every step
    for (int64_t e = begin; e < end; ++e) {
      smallest = std::min(smallest, p[e]);
      largest = std::max(largest, p[e]);
    }
    if (begin == end || (smallest >= 0 && largest < n_atoms)) return;
    for (int64_t e = begin; e < end; ++e)
      TORCH_CHECK(0 <= p[e] && p[e] < n_atoms, operation, ": expected indices from 0 to ", n_atoms - 1, ", got ", p[e],
                  " in edge ", e);
  });
}

void check_vectors(const char *operation, const Tensor &vectors, const Tensor &senders, const Tensor &receivers)
{
  TORCH_CHECK(vectors.dim() == 2 && vectors.size(1) == 3, operation, ": expected vectors of shape (E, 3), got ",
              vectors.sizes());
  TORCH_CHECK(senders.numel() == vectors.size(0) && receivers.numel() == vectors.size(0), operation,
              ": expected as many senders and receivers as vectors (", vectors.size(0), "), got ", senders.numel(),
              " and ", receivers.numel());
}

void set_radial(Basis &basis, int64_t number, double length)
{
  const auto kind = static_cast<RadialKind>(number);
  TORCH_CHECK(kind == RadialKind::bessel || kind == RadialKind::stretched_bessel,
              "expected radial functions of kind 0 (Bessel) or 1 (stretched), got ", number,
              "; a newer version of pair_cace may know them");
  basis.radial = kind;
  if (kind == RadialKind::bessel) return;
  // Those of longer ones are hardly stretched, and 1 − exp(−r/ρ) loses its digits.
  TORCH_CHECK(0.0 < length && length <= 10.0 * basis.cutoff,
              "expected a length of stretched radial functions above 0 and up to ten cutoffs, ", 10.0 * basis.cutoff,
              ", got ", length);
  basis.length = length;
  basis.stretch = basis.cutoff / (1.0 - std::exp(-basis.cutoff / length));
}

void check_same_type(const char *operation, std::initializer_list<Tensor> tensors)
{
  for (const Tensor &tensor : tensors) {
    TORCH_CHECK(tensor.is_cpu() || tensor.is_cuda(), operation, ": expected tensors on a CPU or a CUDA device, got ",
                tensor.device());
    TORCH_CHECK(tensor.scalar_type() == tensors.begin()->scalar_type() &&
                    (tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kDouble),
                operation, ": expected all tensors in float32, or all in float64, got ", tensors.begin()->scalar_type(),
                " and ", tensor.scalar_type());
  }
}

namespace {

// Not on a CPU with its own kernels: on a GPU, and in tests with its kernels on a host.
bool is_elsewhere(const Tensor &ends)
{
  return !ends.is_cpu() || !kernels<float>().layer;
}

}    // namespace

GroupedEdges::GroupedEdges(const char *operation, const Tensor &ends, int64_t n_atoms)
{
  check_indices(operation, ends, n_atoms);
  group(ends, n_atoms);
}

GroupedEdges GroupedEdges::of_first(const Tensor &first)
{
  GroupedEdges edges;
  edges.start_ = first;
  return edges;
}

GroupedEdges GroupedEdges::in_no_order(const Tensor &ends, int64_t n_atoms)
{
  GroupedEdges edges;
  if (is_elsewhere(ends))
    edges.sort_by_torch(ends, n_atoms);
  else
    edges.group(ends, n_atoms);
  return edges;
}

void GroupedEdges::group(const Tensor &ends, int64_t n_atoms)
{
  const int64_t n_edges = ends.size(0);
  if (is_elsewhere(ends)) {
    const bool in_order = n_edges < 2 || (ends.slice(0, 1) >= ends.slice(0, 0, n_edges - 1)).all().item<bool>();
    if (in_order)
      start_ = at::searchsorted(ends, at::arange(n_atoms + 1, ends.options()));
    else
      sort_by_torch(ends, n_atoms);
    return;
  }
  const int64_t *end_of = ends.const_data_ptr<int64_t>();
  start_ = at::empty({n_atoms + 1}, ends.options());
  int64_t *start = start_.data_ptr<int64_t>();

  const int n_shares = worthwhile_shares(n_edges);
  std::atomic<bool> in_order = true;
  in_shares(n_edges, n_shares, [&](int64_t begin, int64_t end, int) {
    if (!std::is_sorted(end_of + std::max<int64_t>(begin - 1, 0), end_of + end)) in_order = false;
  });
  if (in_order) {    // an atom begins where its number, or a larger one, comes first
    in_shares(n_edges, n_shares, [&](int64_t begin, int64_t end, int) {
      int64_t before = begin > 0 ? end_of[begin - 1] : -1;
      for (int64_t e = begin; e < end; before = end_of[e++])
        for (int64_t i = before + 1; i <= end_of[e]; ++i) start[i] = e;
    });
    std::fill(start + (n_edges > 0 ? end_of[n_edges - 1] + 1 : 0), start + n_atoms + 1, n_edges);
    return;
  }

  std::fill(start, start + n_atoms + 1, 0);
  for (int64_t e = 0; e < n_edges; ++e) ++start[end_of[e] + 1];
  for (int64_t i = 0; i < n_atoms; ++i) start[i + 1] += start[i];
  order_ = at::empty({n_edges}, ends.options());
  int64_t *order = order_.data_ptr<int64_t>();
  Tensor next = start_.clone();
  int64_t *at = next.data_ptr<int64_t>();
  for (int64_t e = 0; e < n_edges; ++e) order[at[end_of[e]]++] = e;
}

void GroupedEdges::sort_by_torch(const Tensor &ends, int64_t n_atoms)
{
  // As int32, which takes half the time; there are not more atoms.
  const auto [sorted, order] = at::sort(ends.to(at::kInt), /*stable=*/std::optional<bool>(true), /*dim=*/0);
  start_ = at::searchsorted(sorted, at::arange(n_atoms + 1, sorted.options()));
  order_ = order;
}

Grouping GroupedEdges::grouping() const
{
  return {start_.const_data_ptr<int64_t>(), order_.defined() ? order_.const_data_ptr<int64_t>() : nullptr};
}

// A thread is worth waking for some 20 µs of work.
int worthwhile_shares(int64_t work)
{
  constexpr int64_t enough = 200000;
  const int64_t threads = at::in_parallel_region() ? 1 : at::get_num_threads();
  return static_cast<int>(std::min(threads, std::max<int64_t>(1, work / enough)));
}

Shares::Shares(int64_t n, int64_t step, int64_t multiply_adds, const Tensor &like)
    : n_(n), step_(step), n_steps_((n + step - 1) / step),
      count_(like.is_cuda() ? 1
                            : static_cast<int>(std::min<int64_t>(worthwhile_shares(multiply_adds),
                                                                 std::max<int64_t>(1, n_steps_))))
{
}

void in_shares(int64_t n, int n_shares, const std::function<void(int64_t begin, int64_t end, int share)> &body)
{
  if (n_shares == 1) return body(0, n, 0);
  at::parallel_for(0, n_shares, 1, [&](int64_t first, int64_t last) {
    for (int64_t share = first; share < last; ++share)
      body(n * share / n_shares, n * (share + 1) / n_shares, static_cast<int>(share));
  });
}

SharedSum::SharedSum(bool wanted, const Tensor &like, const Shares &shares, int n_copies)
    : size_(like.numel()), n_copies_(like.is_cuda() ? n_copies : 1)
{
  if (!wanted) return;
  std::vector<int64_t> shape = like.sizes().vec();
  shape.insert(shape.begin(), shares.count() * n_copies_);
  copies_ = at::zeros(shape, like.options());
}

Tensor SharedSum::total() const
{
  if (!copies_.defined()) return {};
  return copies_.size(0) == 1 ? copies_.squeeze(0) : copies_.sum(0);
}

}    // namespace pair_cace

TORCH_LIBRARY_FRAGMENT(pair_cace, library)
{
  // Which instruction set the kernels use: baseline, avx2 or avx512.
  library.def("instructions() -> str", [] { return std::string(pair_cace::kernels<float>().instructions); });
  // Whether the operations were built with kernels for CUDA.
  library.def("has_cuda_kernels() -> bool", [] { return pair_cace::has_cuda_kernels(); });
}
