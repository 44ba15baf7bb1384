#include "twice_differentiable.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

namespace pair_cace {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using Handle = c10::intrusive_ptr<Operation>;

void keep(AutogradContext *context, const Handle &operation)
{
  context->saved_data["operation"] = c10::IValue::make_capsule(operation);
}

Handle kept(AutogradContext *context)
{
  return c10::static_intrusive_pointer_cast<Operation>(context->saved_data["operation"].toCapsule());
}

Wanted wanted_inputs(AutogradContext *context, size_t first)
{
  Wanted wanted;
  for (size_t k = 0; k < wanted.size(); ++k) wanted[k] = context->needs_input_grad(first + k);
  return wanted;
}

// Autograd wants a defined tensor for every argument and result; an empty one of bool stands for none.
Tensor or_none(const Tensor &tensor)
{
  return tensor.defined() ? tensor : at::empty({0}, at::kBool);
}

Inputs without_none(const Tensor *x)
{
  Inputs inputs;
  for (size_t k = 0; k < inputs.size(); ++k)
    if (x[k].scalar_type() != at::kBool) inputs[k] = x[k];
  return inputs;
}

struct Gradient : torch::autograd::Function<Gradient> {
  static variable_list forward(AutogradContext *context, const Tensor &grad, const Tensor &x0, const Tensor &x1,
                               const Tensor &x2, const Tensor &x3, const Handle &operation, const Wanted &wanted)
  {
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    context->set_materialize_grads(false);
    keep(context, operation);
    const Tensor g = grad.contiguous();
    context->save_for_backward({g, x0, x1, x2, x3});
    const Tensor x[] = {x0, x1, x2, x3};
    const Inputs gradient = operation->gradient(g, without_none(x), nullptr, wanted);
    variable_list results;
    for (const Tensor &one : gradient) results.push_back(or_none(one));
    return results;
  }

  static variable_list backward(AutogradContext *context, variable_list directions)
  {
    TORCH_CHECK(!at::GradMode::is_enabled(),
                "third derivatives of the compiled operations are not available; use a model "
                "without them, see `cace export --portable`");
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    const Handle operation = kept(context);
    const variable_list saved = context->get_saved_variables();
    const Inputs x = without_none(&saved[1]);
    Inputs direction;
    for (size_t k = 0; k < direction.size(); ++k)
      if (directions[k].defined()) direction[k] = directions[k].contiguous();
    Tensor by_grad;
    if (context->needs_input_grad(0)) by_grad = operation->value(x, &direction);
    const Wanted wanted = wanted_inputs(context, 1);
    Inputs by_x;
    if (std::find(wanted.begin(), wanted.end(), true) != wanted.end())
      by_x = operation->gradient(saved[0], x, &direction, wanted);
    return {by_grad, by_x[0], by_x[1], by_x[2], by_x[3], {}, {}};
  }
};

struct Value : torch::autograd::Function<Value> {
  static Tensor forward(AutogradContext *context, const Tensor &x0, const Tensor &x1, const Tensor &x2,
                        const Tensor &x3, const Handle &operation)
  {
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    keep(context, operation);
    context->save_for_backward({x0, x1, x2, x3});
    const Tensor x[] = {x0, x1, x2, x3};
    return operation->value(without_none(x), nullptr);
  }

  static variable_list backward(AutogradContext *context, variable_list grad)
  {
    const variable_list x = context->get_saved_variables();
    const Wanted wanted = wanted_inputs(context, 0);
    variable_list results = Gradient::apply(grad[0], x[0], x[1], x[2], x[3], kept(context), wanted);
    for (size_t k = 0; k < wanted.size(); ++k)
      if (!wanted[k]) results[k] = Tensor();
    results.emplace_back();
    return results;
  }
};

}    // namespace

Tensor differentiable(const Handle &operation, const Inputs &x)
{
  const c10::OptionalDeviceGuard on_device(
      at::device_of(*std::find_if(x.begin(), x.end(), [](const Tensor &input) { return input.defined(); })));
  return Value::apply(or_none(x[0]), or_none(x[1]), or_none(x[2]), or_none(x[3]), operation);
}

}    // namespace pair_cace
