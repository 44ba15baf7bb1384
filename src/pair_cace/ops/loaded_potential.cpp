#include "loaded_potential.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <torch/csrc/jit/api/module.h>

#include <string>

namespace pair_cace {

namespace {

using torch::jit::Module;

Module part(const Module &module, const char *name)
{
  return module.attr(name).toModule();
}

// Whether an optional part is there.
bool has(const Module &module, const char *name)
{
  return module.hasattr(name) && !module.attr(name).isNone();
}

Tensor weight(const Module &module, const char *name)
{
  return module.attr(name).toTensor().detach().contiguous();
}

// Of a network, or of a single dense layer.
Tensors weights_and_biases(const Module &module)
{
  if (module.hasattr("weight")) return {weight(module, "weight"), weight(module, "bias")};
  Tensors found;
  for (const Module &layer : module.children())
    if (layer.hasattr("weight")) found.insert(found.end(), {weight(layer, "weight"), weight(layer, "bias")});
  return found;
}

ModelWeights weights_of(const Module &module, int64_t n_basis)
{
  const Module radial = part(module, "radial"), cutoff = part(module, "cutoff_function");
  ModelWeights model;
  model.n_basis = n_basis;
  model.frequencies = weight(radial, "frequencies");
  model.mixing = weight(part(module, "atomic_basis"), "mixing_weight");
  model.basis = {static_cast<int>(model.mixing.size(0) - 1), static_cast<int>(model.frequencies.size(0)),
                 cutoff.attr("cutoff").toDouble(), static_cast<int>(cutoff.attr("exponent").toInt()),
                 weight(radial, "prefactor").item<double>()};
  const Module readout = part(module, "readout");
  model.readout = weights_and_biases(part(readout, "network"));
  if (has(readout, "linear")) model.linear = weights_and_biases(part(readout, "linear"));
  model.nu_max = module.attr("nu_max").toInt();
  for (const Module &layer : part(module, "layers").children()) {
    MessageWeights message;
    model.norm = layer.attr("norm").toDouble();
    if (has(layer, "bchi")) {
      message.network = weights_and_biases(part(part(layer, "bchi"), "network"));
      model.n_degrees = part(layer, "bchi").attr("n_degrees").toInt();
    }
    if (has(layer, "ar")) {
      message.amplitude = weight(part(layer, "ar"), "amplitude") * model.norm;
      message.decay = weight(part(layer, "ar"), "decay");
    }
    if (has(layer, "memory")) message.memory = weight(part(layer, "memory"), "weight");
    model.messages.push_back(std::move(message));
  }
  return model;
}

}    // namespace

LoadedPotential::LoadedPotential(const Module &module)
{
  // (119, trained elements): those in between are interpolated
  const Tensor composition = weight(part(module, "elements"), "table");
  const auto embedding = [&](const char *name) {
    const Tensor of_trained = weight(part(module, name), "weight");
    return at::matmul(composition.to(of_trained.scalar_type()), of_trained);
  };
  E0_ = at::matmul(composition, weight(part(module, "elements"), "E0"));
  sender_ = embedding("sender_embedding");
  receiver_ = has(module, "receiver_embedding") ? embedding("receiver_embedding") : sender_;
  if (has(module, "repulsion")) {
    const Module off = part(part(module, "repulsion"), "switch");
    repulsion_ = {off.attr("cutoff").toDouble(), static_cast<int>(off.attr("exponent").toInt())};
  }
  potential_ = Potential::with(weights_of(module, sender_.size(1)));
}

Surroundings LoadedPotential::surroundings(const EdgeTensors &edges) const
{
  const Tensor sender = sender_.index_select(0, edges.species);
  const Tensor receiver = receiver_.is_same(sender_)
                              ? sender.slice(0, 0, edges.n_atoms)
                              : receiver_.index_select(0, edges.species.slice(0, 0, edges.n_atoms));
  return {edges.vectors.to(sender_.scalar_type()).contiguous(),
          edges.senders,
          edges.receivers,
          edges.first_edge,
          sender,
          receiver};
}

std::tuple<Tensor, Tensor> LoadedPotential::evaluate(const EdgeTensors &edges, GhostExchange *exchange) const
{
  const Surroundings atoms = surroundings(edges);
  const auto [found, gradient] = potential_->evaluate(atoms, exchange);
  Tensor energies = found.to(at::kDouble) + E0_.index_select(0, edges.species.slice(0, 0, edges.n_atoms));
  if (repulsion_) energies += repulsion_energies(*repulsion_, atoms, edges.species, gradient);
  return {energies, gradient};
}

Tensor LoadedPotential::features(const EdgeTensors &edges, GhostExchange *exchange) const
{
  return potential_->features(surroundings(edges), exchange);
}

}    // namespace pair_cace
