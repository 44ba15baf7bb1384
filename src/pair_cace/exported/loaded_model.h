// An exported model as torch holds it, and the one place where its two ways part: by kernels, or by its TorchScript.
// For the two files that call it (exported_model.cpp, own_neighbors.cpp).
#pragma once

#include "exported_model.h"

#include "ops/loaded_potential.h"

#include <torch/csrc/jit/api/module.h>
#include <torch/types.h>

#include <optional>
#include <tuple>

namespace pair_cace {

struct ExportedModel::Loaded {
  ModelInfo info;
  at::Device device;
  torch::jit::Module module;
  std::optional<LoadedPotential> potential;    // unless the kernels do not know its terms

  // Energies (n_atoms,) float64 in eV, and the gradient of their sum by the vectors; invariants; outputs (n_atoms, names).
  // Throw std::runtime_error, with what to do if memory is short.
  std::tuple<at::Tensor, at::Tensor> evaluate(const EdgeTensors &edges, GhostExchange *exchange) const;
  at::Tensor features(const EdgeTensors &edges, GhostExchange *exchange) const;
  at::Tensor outputs(const EdgeTensors &edges, GhostExchange *exchange, const std::vector<std::string> &names) const;

 private:
  // A method of the TorchScript module that takes edges.
  c10::IValue call(const char *method, const EdgeTensors &edges, GhostExchange *exchange) const;
};

// The values of a tensor, from any device and of any precision.
template <class Value> void copy_values(const at::Tensor &from, std::vector<Value> &to)
{
  make_room(to, from.numel());
  torch::from_blob(to.data(), from.sizes(), c10::CppTypeToScalarType<Value>::value).copy_(from);
}

// Throws std::runtime_error: what torch said, and where memory is short what to do.
[[noreturn]] void say_what_failed(const std::string &text, at::Device device, int64_t n_atoms, int64_t n_edges);

// Throws std::runtime_error unless all of them are finite.
void check_energies(const std::vector<double> &energies, int64_t n_atoms);

}    // namespace pair_cace
