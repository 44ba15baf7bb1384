// Operations with hand-written first derivatives, of which second derivatives follow: for a direction u
// in the space of the inputs, the gradient of <u, ∇f(x)·g> by (g, x) is the derivative of
// (f(x), ∇f(x)·g) along u. So an operation gives its value and its gradient, and the derivative of both
// along a direction. Third derivatives are refused.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <torch/custom_class.h>

#include <array>

namespace pair_cace {

using at::Tensor;

// The inputs that can be differentiated by, contiguous; undefined where there is none.
using Inputs = std::array<Tensor, 4>;
using Wanted = std::array<bool, 4>;

// Settings and indices of one call; made when the operation is called, and kept for its derivatives.
class Operation : public torch::CustomClassHolder {
 public:
  // f(x), or its derivative along `direction` if there is one.
  virtual Tensor value(const Inputs &x, const Inputs *direction) const = 0;

  // ∇f(x)·grad by the inputs that are wanted, or its derivative along `direction` at fixed grad.
  virtual Inputs gradient(const Tensor &grad, const Inputs &x, const Inputs *direction, const Wanted &wanted) const = 0;
};

// f(x), recorded for differentiation.
Tensor differentiable(const c10::intrusive_ptr<Operation> &operation, const Inputs &x);

}    // namespace pair_cace
