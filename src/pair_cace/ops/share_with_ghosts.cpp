// torch.ops.pair_cace.share_with_ghosts: the exchange of ghost_exchange.h as an operation with a derivative.

#include "message.h"

#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <vector>

namespace {

using namespace pair_cace;
using at::Tensor;

class Share : public torch::autograd::Function<Share> {
 public:
  static Tensor forward(torch::autograd::AutogradContext *context, const Tensor &values, int64_t n_rows, int64_t handle)
  {
    const int64_t n_atoms = values.size(0);
    context->saved_data["exchange"] = handle;
    context->saved_data["n_atoms"] = n_atoms;
    std::vector<int64_t> shape = values.sizes().vec();
    shape[0] = n_rows;
    const Tensor table = at::empty(shape, values.options());
    table.slice(0, 0, n_atoms).copy_(values);
    to_ghosts(GhostExchange::with(handle), table, n_atoms);
    return table;
  }

  static std::vector<Tensor> backward(torch::autograd::AutogradContext *context, const std::vector<Tensor> &grads)
  {
    TORCH_CHECK(!at::GradMode::is_enabled(),
                "share_with_ghosts: expected first derivatives only, asked for second ones");
    const int64_t n_atoms = context->saved_data["n_atoms"].toInt();
    const Tensor table = grads[0].clone(at::MemoryFormat::Contiguous);
    from_ghosts(GhostExchange::with(context->saved_data["exchange"].toInt()), table, n_atoms);
    return {table.slice(0, 0, n_atoms), Tensor(), Tensor()};
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
