// torch.ops.pair_cace.neighbor_sum: schema and checks over kernels/neighbor_sum.h.

#include "torch_glue.h"
#include "twice_differentiable.h"

#include <ATen/Dispatch.h>
#include <torch/library.h>

namespace {

using namespace pair_cace;

class NeighborSumOperation : public Operation {
 public:
  NeighborSumOperation(const Basis &basis, const Tensor &senders, const Tensor &receivers, int64_t n_atoms)
      : basis_(basis), senders_(senders), by_receiver_("neighbor_sum", receivers, n_atoms), n_atoms_(n_atoms)
  {
  }

  enum { vectors, weights, frequencies };

  Tensor value(const Inputs &x, const Inputs *direction) const override
  {
    Tensor raw = at::empty({n_atoms_, basis_.n_angular(), basis_.n_rbf, x[weights].size(2)}, x[vectors].options());
    AT_DISPATCH_FLOATING_TYPES(raw.scalar_type(), "neighbor_sum", [&] {
      NeighborSum<scalar_t> task = task_at<scalar_t>(x, direction);
      task.raw = raw.data_ptr<scalar_t>();
      const auto &table = kernels_for<scalar_t>(x[vectors]);
      const auto kernel = direction ? table.neighbor_sum_tangent : table.neighbor_sum;
      shares(x).run([&](int64_t begin, int64_t end, int64_t) { kernel(task, begin, end); });
    });
    return raw;
  }

  Inputs gradient(const Tensor &grad, const Inputs &x, const Inputs *direction, const Wanted &wanted) const override
  {
    Inputs result;
    if (wanted[vectors]) result[vectors] = at::empty_like(x[vectors]);
    AT_DISPATCH_FLOATING_TYPES(grad.scalar_type(), "neighbor_sum", [&] {
      NeighborSum<scalar_t> task = task_at<scalar_t>(x, direction);
      task.grad_raw = grad.const_data_ptr<scalar_t>();
      task.grad_vectors = data_of<scalar_t>(result[vectors]);
      const auto &table = kernels_for<scalar_t>(x[vectors]);
      const auto kernel = direction ? table.neighbor_sum_gradient_tangent : table.neighbor_sum_gradient;
      const Shares threads = shares(x);
      const SharedSum by_weights(wanted[weights], x[weights], threads);
      const SharedSum by_frequencies(wanted[frequencies], x[frequencies], threads, copies_for_atoms);
      threads.run([&](int64_t begin, int64_t end, int64_t share) {
        NeighborSum<scalar_t> mine = task;
        mine.n_copies = by_frequencies.n_copies();
        mine.grad_weights = by_weights.of_share<scalar_t>(share);
        mine.grad_frequencies = by_frequencies.of_share<scalar_t>(share);
        kernel(mine, begin, end);
      });
      result[weights] = by_weights.total();
      result[frequencies] = by_frequencies.total();
    });
    return result;
  }

 private:
  template <class Real> NeighborSum<Real> task_at(const Inputs &x, const Inputs *direction) const
  {
    NeighborSum<Real> task;
    task.basis = basis_;
    task.n_degrees = static_cast<int>(x[weights].size(1));
    task.n_weights = static_cast<int>(x[weights].size(2));
    task.by_receiver = by_receiver_.grouping();
    task.senders = senders_.const_data_ptr<int64_t>();
    task.vectors = input_of<Real>(x, direction, vectors);
    task.weights = input_of<Real>(x, direction, weights);
    task.frequencies = input_of<Real>(x, direction, frequencies);
    return task;
  }

  Shares shares(const Inputs &x) const
  {
    const int64_t per_edge = int64_t(basis_.n_angular()) * basis_.n_rbf * x[weights].size(2);
    return Shares(n_atoms_, 1, per_edge * senders_.size(0), senders_);
  }

  Basis basis_;
  Tensor senders_;
  GroupedEdges by_receiver_;
  int64_t n_atoms_;
};

Tensor neighbor_sum(const Tensor &vectors, const Tensor &senders, const Tensor &receivers, const Tensor &weights,
                    const Tensor &frequencies, double prefactor, double cutoff, int64_t exponent, int64_t l_max,
                    int64_t n_atoms, int64_t radial, double length)
{
  check_vectors("neighbor_sum", vectors, senders, receivers);
  TORCH_CHECK(0 <= l_max && l_max <= max_degree, "neighbor_sum: expected l_max from 0 to ", max_degree, ", got ",
              l_max);
  TORCH_CHECK(weights.dim() == 3 && (weights.size(1) == 1 || weights.size(1) == l_max + 1),
              "neighbor_sum: expected weights of shape (senders, 1 or ", l_max + 1, ", columns), got ",
              weights.sizes());
  TORCH_CHECK(frequencies.dim() == 1, "neighbor_sum: expected frequencies of shape (n_rbf,), got ",
              frequencies.sizes());
  check_same_type("neighbor_sum", {vectors, weights, frequencies});
  check_indices("neighbor_sum", senders, weights.size(0));
  Basis basis{static_cast<int>(l_max), static_cast<int>(frequencies.size(0)), cutoff, static_cast<int>(exponent),
              prefactor};
  set_radial(basis, radial, length);
  return differentiable(c10::make_intrusive<NeighborSumOperation>(basis, senders.contiguous(), receivers.contiguous(),
                                                                  n_atoms),
                        {vectors.contiguous(), weights.contiguous(), frequencies.contiguous(), {}});
}

}    // namespace

TORCH_LIBRARY_FRAGMENT(pair_cace, library)
{
  library.def("neighbor_sum(Tensor vectors, Tensor senders, Tensor receivers, Tensor weights, "
              "Tensor frequencies, float prefactor, float cutoff, int exponent, int l_max, "
              "int n_atoms, int radial=0, float length=0.0) -> Tensor",
              neighbor_sum);
}
