// An exported model as torch holds it; for the two files that call it (exported_model.cpp, own_neighbors.cpp).
#pragma once

#include "exported_model.h"

#include <torch/csrc/jit/api/module.h>
#include <torch/types.h>

namespace pair_cace {

struct ExportedModel::Loaded {
  ModelInfo info;
  at::Device device;
  torch::jit::Module module;

  // One of the methods of CACE that take edges; tensors on the device, species (rows,).
  // Throws std::runtime_error, with what to do if memory is short.
  c10::IValue call(const char *method, const at::Tensor &vectors, const at::Tensor &senders,
                   const at::Tensor &receivers, const at::Tensor &species, int64_t n_atoms) const;
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
