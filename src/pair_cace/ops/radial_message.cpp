// torch.ops.pair_cace.radial_message: schema and checks over kernels/radial_message.h.

#include "torch_glue.h"
#include "twice_differentiable.h"

#include <ATen/Dispatch.h>
#include <torch/library.h>

namespace {

using namespace pair_cace;

class RadialMessageOperation : public Operation {
 public:
  RadialMessageOperation(const Tensor &senders, const Tensor &receivers, int64_t n_atoms, double cutoff,
                         int64_t exponent, int64_t l_max)
      : senders_(senders), receivers_(receivers), by_receiver_("radial_message", receivers, n_atoms),
        by_sender_("radial_message", senders, n_atoms), n_atoms_(n_atoms), cutoff_(cutoff), exponent_(exponent),
        l_max_(l_max)
  {
  }

  enum { vectors, basis, amplitude, decay };

  Tensor value(const Inputs &x, const Inputs *direction) const override
  {
    Tensor message = at::empty_like(x[basis]);
    AT_DISPATCH_FLOATING_TYPES(message.scalar_type(), "radial_message", [&] {
      RadialMessage<scalar_t> task = task_at<scalar_t>(x, direction);
      task.groups = by_receiver_.grouping();
      task.other = senders_.const_data_ptr<int64_t>();
      task.message = message.data_ptr<scalar_t>();
      const auto &table = kernels_for<scalar_t>(x[vectors]);
      const auto kernel = direction ? table.message_tangent : table.message;
      shares(x).run([&](int64_t begin, int64_t end, int64_t) { kernel(task, begin, end); });
    });
    return message;
  }

  Inputs gradient(const Tensor &grad, const Inputs &x, const Inputs *direction, const Wanted &wanted) const override
  {
    Inputs result;
    for (int k : {vectors, basis})
      if (wanted[k]) result[k] = at::empty_like(x[k]);
    AT_DISPATCH_FLOATING_TYPES(grad.scalar_type(), "radial_message", [&] {
      RadialMessage<scalar_t> task = task_at<scalar_t>(x, direction);
      task.groups = by_sender_.grouping();
      task.other = receivers_.const_data_ptr<int64_t>();
      task.grad_message = grad.const_data_ptr<scalar_t>();
      task.grad_vectors = data_of<scalar_t>(result[vectors]);
      task.grad_basis = data_of<scalar_t>(result[basis]);
      const auto &table = kernels_for<scalar_t>(x[vectors]);
      const auto kernel = direction ? table.message_gradient_tangent : table.message_gradient;
      const Shares threads = shares(x);
      const SharedSum by_amplitude(wanted[amplitude], x[amplitude], threads, copies_for_atoms);
      const SharedSum by_decay(wanted[decay], x[decay], threads, copies_for_atoms);
      threads.run([&](int64_t begin, int64_t end, int64_t share) {
        RadialMessage<scalar_t> mine = task;
        mine.n_copies = std::max(by_amplitude.n_copies(), by_decay.n_copies());
        mine.grad_amplitude = by_amplitude.of_share<scalar_t>(share);
        mine.grad_decay = by_decay.of_share<scalar_t>(share);
        kernel(mine, begin, end);
      });
      result[amplitude] = by_amplitude.total();
      result[decay] = by_decay.total();
    });
    return result;
  }

 private:
  template <class Real> RadialMessage<Real> task_at(const Inputs &x, const Inputs *direction) const
  {
    RadialMessage<Real> task;
    task.l_max = static_cast<int>(l_max_);
    task.n_radial = static_cast<int>(x[basis].size(1));
    task.n_channels = static_cast<int>(x[basis].size(3));
    task.n_receivers = n_atoms_;
    task.cutoff = cutoff_;
    task.exponent = static_cast<int>(exponent_);
    task.vectors = input_of<Real>(x, direction, vectors);
    task.basis = input_of<Real>(x, direction, basis);
    task.amplitude = input_of<Real>(x, direction, amplitude);
    task.decay = input_of<Real>(x, direction, decay);
    return task;
  }

  Shares shares(const Inputs &x) const
  {
    return Shares(n_atoms_, 1, senders_.size(0) * x[basis].size(1) * x[basis].size(2) * x[basis].size(3), senders_);
  }

  Tensor senders_, receivers_;
  GroupedEdges by_receiver_, by_sender_;
  int64_t n_atoms_;
  double cutoff_;
  int64_t exponent_, l_max_;
};

Tensor radial_message(const Tensor &vectors, const Tensor &senders, const Tensor &receivers, const Tensor &basis,
                      const Tensor &amplitude, const Tensor &decay, double cutoff, int64_t exponent)
{
  check_vectors("radial_message", vectors, senders, receivers);
  TORCH_CHECK(basis.dim() == 4, "radial_message: expected A of shape (N, n_radial, N_l, C), got ", basis.sizes());
  TORCH_CHECK(amplitude.dim() == 3 && decay.sizes() == amplitude.sizes() && amplitude.size(0) == basis.size(1) &&
                  amplitude.size(2) == basis.size(3),
              "radial_message: expected amplitude and decay of shape (n_radial, L+1, C), got ", amplitude.sizes(),
              " and ", decay.sizes(), " with A ", basis.sizes());
  const int64_t l_max = amplitude.size(1) - 1;
  TORCH_CHECK(basis.size(2) == n_angular_up_to(static_cast<int>(l_max)), "radial_message: A has ", basis.size(2),
              " angular functions, which does not fit l up to ", l_max);
  check_same_type("radial_message", {vectors, basis, amplitude, decay});
  return differentiable(c10::make_intrusive<RadialMessageOperation>(senders.contiguous(), receivers.contiguous(),
                                                                    basis.size(0), cutoff, exponent, l_max),
                        {vectors.contiguous(), basis.contiguous(), amplitude.contiguous(), decay.contiguous()});
}

}    // namespace

TORCH_LIBRARY_FRAGMENT(pair_cace, library)
{
  library.def("radial_message(Tensor vectors, Tensor senders, Tensor receivers, Tensor basis, "
              "Tensor amplitude, Tensor decay, float cutoff, int exponent) -> Tensor",
              radial_message);
}
