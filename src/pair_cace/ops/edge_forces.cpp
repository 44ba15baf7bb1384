// torch operations over edge_forces.h: schema, checks, CPU kernels, derivatives of every order.

#include "edge_forces.h"

#include "torch_glue.h"

#include <ATen/Dispatch.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

void check(const char *operation, const char *name, const Tensor &values, const Tensor &senders,
           const Tensor &receivers)
{
  for (const Tensor &index : {senders, receivers})
    TORCH_CHECK(index.dim() == 1 && index.scalar_type() == at::kLong, operation,
                ": expected senders and receivers of shape (E,) and type int64, got shape ", index.sizes(),
                " and type ", index.scalar_type());
  TORCH_CHECK(senders.size(0) == receivers.size(0), operation, ": expected as many senders as receivers, got ",
              senders.size(0), " and ", receivers.size(0));
  TORCH_CHECK(values.dim() == 2 && values.size(1) == 3, operation, ": expected ", name, " of shape (n, 3), got shape ",
              values.sizes());
}

// ---- CPU -------------------------------------------------------------------------------------

Tensor edge_forces_cpu(const Tensor &gradient, const Tensor &senders, const Tensor &receivers, int64_t n_atoms)
{
  check("edge_forces", "gradient", gradient, senders, receivers);
  TORCH_CHECK(gradient.size(0) == senders.size(0), "edge_forces: expected one gradient per edge (", senders.size(0),
              "), got ", gradient.size(0));
  const Tensor g = gradient.contiguous(), s = senders.contiguous(), r = receivers.contiguous();
  pair_cace::check_indices("edge_forces", s, n_atoms);
  pair_cace::check_indices("edge_forces", r, n_atoms);
  Tensor forces = at::zeros({n_atoms, 3}, g.options());
  AT_DISPATCH_FLOATING_TYPES(g.scalar_type(), "edge_forces", [&] {
    pair_cace::add_edge_forces(g.const_data_ptr<scalar_t>(), s.const_data_ptr<int64_t>(), r.const_data_ptr<int64_t>(),
                               s.size(0), forces.data_ptr<scalar_t>());
  });
  return forces;
}

Tensor edge_differences_cpu(const Tensor &values, const Tensor &senders, const Tensor &receivers)
{
  check("edge_differences", "values", values, senders, receivers);
  const Tensor v = values.contiguous(), s = senders.contiguous(), r = receivers.contiguous();
  pair_cace::check_indices("edge_differences", s, v.size(0));
  pair_cace::check_indices("edge_differences", r, v.size(0));
  Tensor differences = at::empty({s.size(0), 3}, v.options());
  AT_DISPATCH_FLOATING_TYPES(v.scalar_type(), "edge_differences", [&] {
    pair_cace::edge_differences(v.const_data_ptr<scalar_t>(), s.const_data_ptr<int64_t>(), r.const_data_ptr<int64_t>(),
                                s.size(0), differences.data_ptr<scalar_t>());
  });
  return differences;
}

// ---- other devices: the same sums with torch's own kernels ----------------------------------------

Tensor edge_forces_elsewhere(const Tensor &gradient, const Tensor &senders, const Tensor &receivers, int64_t n_atoms)
{
  check("edge_forces", "gradient", gradient, senders, receivers);
  const Tensor none = at::zeros({n_atoms, 3}, gradient.options());
  return none.index_add(0, senders, gradient).index_add(0, receivers, gradient, -1);
}

Tensor edge_differences_elsewhere(const Tensor &values, const Tensor &senders, const Tensor &receivers)
{
  check("edge_differences", "values", values, senders, receivers);
  return values.index_select(0, receivers).sub(values.index_select(0, senders));
}

// ---- derivatives: each operation's backward is the other one, through the dispatcher -----------

template <class Function> auto operation(const char *name, const Function &)
{
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Function>();
}

Tensor call_edge_forces(const Tensor &gradient, const Tensor &senders, const Tensor &receivers, int64_t n_atoms)
{
  static const auto op = operation("pair_cace::edge_forces", edge_forces_cpu);
  return op.call(gradient, senders, receivers, n_atoms);
}

Tensor call_edge_differences(const Tensor &values, const Tensor &senders, const Tensor &receivers)
{
  static const auto op = operation("pair_cace::edge_differences", edge_differences_cpu);
  return op.call(values, senders, receivers);
}

struct EdgeForces : torch::autograd::Function<EdgeForces> {
  static Tensor forward(AutogradContext *context, const Tensor &gradient, const Tensor &senders,
                        const Tensor &receivers, int64_t n_atoms)
  {
    context->save_for_backward({senders, receivers});
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return call_edge_forces(gradient, senders, receivers, n_atoms);
  }

  static variable_list backward(AutogradContext *context, variable_list grad_forces)
  {
    const auto saved = context->get_saved_variables();
    return {-call_edge_differences(grad_forces[0], saved[0], saved[1]), {}, {}, {}};
  }
};

struct EdgeDifferences : torch::autograd::Function<EdgeDifferences> {
  static Tensor forward(AutogradContext *context, const Tensor &values, const Tensor &senders, const Tensor &receivers)
  {
    context->save_for_backward({senders, receivers});
    context->saved_data["n_atoms"] = values.size(0);
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return call_edge_differences(values, senders, receivers);
  }

  static variable_list backward(AutogradContext *context, variable_list grad_differences)
  {
    const auto saved = context->get_saved_variables();
    const int64_t n_atoms = context->saved_data["n_atoms"].toInt();
    return {-call_edge_forces(grad_differences[0], saved[0], saved[1], n_atoms), {}, {}};
  }
};

Tensor edge_forces_autograd(const Tensor &gradient, const Tensor &senders, const Tensor &receivers, int64_t n_atoms)
{
  return EdgeForces::apply(gradient, senders, receivers, n_atoms);
}

Tensor edge_differences_autograd(const Tensor &values, const Tensor &senders, const Tensor &receivers)
{
  return EdgeDifferences::apply(values, senders, receivers);
}

}    // namespace

TORCH_LIBRARY(pair_cace, library)
{
  library.def("edge_forces(Tensor gradient, Tensor senders, Tensor receivers, int n_atoms) -> Tensor");
  library.def("edge_differences(Tensor values, Tensor senders, Tensor receivers) -> Tensor");
}

TORCH_LIBRARY_IMPL(pair_cace, CPU, library)
{
  library.impl("edge_forces", edge_forces_cpu);
  library.impl("edge_differences", edge_differences_cpu);
}

TORCH_LIBRARY_IMPL(pair_cace, CompositeExplicitAutograd, library)
{
  library.impl("edge_forces", edge_forces_elsewhere);
  library.impl("edge_differences", edge_differences_elsewhere);
}

TORCH_LIBRARY_IMPL(pair_cace, Autograd, library)
{
  library.impl("edge_forces", edge_forces_autograd);
  library.impl("edge_differences", edge_differences_autograd);
}
