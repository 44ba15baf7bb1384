// torch.ops.pair_cace.share_with_ghosts: the exchange of ghost_exchange.h as an operation with a derivative.

#include "ghost_exchange.h"

#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <vector>

namespace {

using namespace pair_cace;
using at::Tensor;

// Values of other devices travel by way of the host.
class Share : public torch::autograd::Function<Share> {
 public:
  static Tensor forward(torch::autograd::AutogradContext *context, const Tensor &values, int64_t n_rows, int64_t handle)
  {
    GhostExchange &exchange = GhostExchange::with(handle);
    context->saved_data["exchange"] = handle;
    context->saved_data["n_atoms"] = values.size(0);
    std::vector<int64_t> shape = values.sizes().vec();
    shape[0] = n_rows;
    Tensor table = at::empty(shape, values.options().device(at::kCPU));
    table.narrow(0, 0, values.size(0)).copy_(values);
    const int64_t width = c10::multiply_integers(shape.begin() + 1, shape.end());
    AT_DISPATCH_FLOATING_TYPES(table.scalar_type(), "share_with_ghosts",
                               [&] { exchange.to_ghosts(table.data_ptr<scalar_t>(), width); });
    return table.to(values.device());
  }

  static std::vector<Tensor> backward(torch::autograd::AutogradContext *context, const std::vector<Tensor> &grads)
  {
    TORCH_CHECK(!at::GradMode::is_enabled(),
                "share_with_ghosts: expected first derivatives only, asked for second ones");
    GhostExchange &exchange = GhostExchange::with(context->saved_data["exchange"].toInt());
    const Tensor &grad = grads[0];
    Tensor table = grad.to(at::kCPU).contiguous();
    if (table.is_same(grad)) table = table.clone();
    const int64_t width = c10::multiply_integers(table.sizes().begin() + 1, table.sizes().end());
    AT_DISPATCH_FLOATING_TYPES(table.scalar_type(), "share_with_ghosts",
                               [&] { exchange.from_ghosts(table.data_ptr<scalar_t>(), width); });
    return {table.narrow(0, 0, context->saved_data["n_atoms"].toInt()).to(grad.device()), Tensor(), Tensor()};
  }
};

Tensor share_with_ghosts(const Tensor &values, int64_t n_rows, int64_t exchange)
{
  if (exchange != 0) return Share::apply(values, n_rows, exchange);
  TORCH_CHECK(values.size(0) == n_rows, "message passing: expected every sender to be an atom that receives, got ",
              n_rows - values.size(0), " that only send");
  return values;
}

}    // namespace

TORCH_LIBRARY_FRAGMENT(pair_cace, library)
{
  // Values of n_atoms atoms, (n_atoms, …), to those of them and their ghosts, (n_rows, …), by an exchange that GhostExchange::handle()
  // names; 0: there are no ghosts.
  library.def("share_with_ghosts(Tensor values, int n_rows, int exchange=0) -> Tensor", share_with_ghosts);
}
