// The weights and numbers of a model by their names in python/pair_cace/nn, which are the format of exported files, with
// its version in exported/model_format.h.
#pragma once

#include "torch_glue.h"

#include <ATen/core/Dict.h>

#include <string>
#include <unordered_map>
#include <vector>

namespace torch::jit {
struct Module;
}

namespace pair_cace {

using Tensors = std::vector<Tensor>;

// What is asked for and not there raises c10::Error, which names it.
class [[gnu::visibility("default")]] NamedWeights {
 public:
  explicit NamedWeights(const torch::jit::Module &module);
  explicit NamedWeights(const c10::Dict<std::string, Tensor> &weights);    // a number is a tensor of one value

  bool has(const std::string &name) const { return values_.count(name) > 0; }
  Tensor tensor(const std::string &name) const;    // contiguous, without a graph
  double number(const std::string &name) const;
  int integer(const std::string &name) const { return static_cast<int>(number(name)); }

  // Weights and biases of a network (NAME.0.weight, NAME.0.bias, NAME.2.weight, …: activations lie between) or of a
  // single dense layer (NAME.weight, NAME.bias); none if there is neither.
  Tensors network(const std::string &name) const;

 private:
  std::unordered_map<std::string, Tensor> values_;
};

// Raises c10::Error unless `network` has weights and biases of dense layers that fit each other and n_in inputs.
void check_network(const char *name, at::TensorList network, int64_t n_in, at::ScalarType type);

// The basis of the edges. Raises c10::Error if its kind is not known.
Basis basis_of(const NamedWeights &weights);

}    // namespace pair_cace
