#include "named_weights.h"

#include <ATen/ops/scalar_tensor.h>
#include <torch/csrc/jit/api/module.h>

namespace pair_cace {

NamedWeights::NamedWeights(const torch::jit::Module &module)
{
  for (const auto &attribute : module.named_attributes(/*recurse=*/true)) {
    const c10::IValue &value = attribute.value;
    if (value.isTensor()) values_[attribute.name] = value.toTensor();
    if (value.isDouble() || value.isInt()) values_[attribute.name] = at::scalar_tensor(value.toScalar(), at::kDouble);
  }
}

NamedWeights::NamedWeights(const c10::Dict<std::string, Tensor> &weights)
{
  for (const auto &entry : weights) values_[entry.key()] = entry.value();
}

Tensor NamedWeights::tensor(const std::string &name) const
{
  const auto found = values_.find(name);
  TORCH_CHECK(found != values_.end(), "expected a tensor or number '", name, "' among those of the model, got none");
  return found->second.detach().contiguous();
}

double NamedWeights::number(const std::string &name) const
{
  const Tensor value = tensor(name);
  TORCH_CHECK(value.numel() == 1, "expected a number '", name, "', got a tensor of shape ", value.sizes());
  return value.item<double>();
}

Tensors NamedWeights::network(const std::string &name) const
{
  if (has(name + ".weight")) return {tensor(name + ".weight"), tensor(name + ".bias")};
  Tensors found;
  for (int k = 0; has(name + "." + std::to_string(k) + ".weight"); k += 2)
    for (const char *part : {".weight", ".bias"}) found.push_back(tensor(name + "." + std::to_string(k) + part));
  return found;
}

void check_network(const char *name, at::TensorList network, int64_t n_in, at::ScalarType type)
{
  TORCH_CHECK(!network.empty() && network.size() % 2 == 0, "evaluate: expected ", name,
              " as pairs of weight and bias, got ", network.size(), " tensors");
  for (size_t k = 0; k < network.size(); k += 2) {
    const Tensor &weight = network[k], &bias = network[k + 1];
    TORCH_CHECK(weight.dim() == 2 && bias.dim() == 1 && weight.size(0) == bias.size(0) && weight.size(1) == n_in,
                "evaluate: expected weight (…, ", n_in, ") and bias of ", name, ", got ", weight.sizes(), " and ",
                bias.sizes());
    TORCH_CHECK(weight.scalar_type() == type && bias.scalar_type() == type, "evaluate: expected ", name, " in ", type,
                ", got ", weight.scalar_type(), " and ", bias.scalar_type());
    n_in = weight.size(0);
  }
}

Basis basis_of(const NamedWeights &weights)
{
  // What older files do not say
  const auto otherwise_0 = [&](const char *name) { return weights.has(name) ? weights.number(name) : 0.0; };
  Basis basis;
  basis.l_max = static_cast<int>(weights.tensor("atomic_basis.mixing_weight").size(0) - 1);
  basis.n_rbf = static_cast<int>(weights.tensor("radial.frequencies").size(0));
  basis.cutoff = weights.number("cutoff_function.cutoff");
  basis.exponent = weights.integer("cutoff_function.exponent");
  basis.prefactor = weights.number("radial.prefactor");
  set_radial(basis, static_cast<int64_t>(otherwise_0("radial.kind")), otherwise_0("radial.length"));
  return basis;
}

}    // namespace pair_cace
