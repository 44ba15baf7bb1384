#include "loaded_potential.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>

namespace pair_cace {

LoadedPotential::LoadedPotential(const NamedWeights &weights) : potential_(Potential::of(weights))
{
  // (119, trained elements): those in between are interpolated
  const Tensor composition = weights.tensor("elements.table");
  const auto embedding = [&](const char *name) {
    const Tensor of_trained = weights.tensor(name);
    return at::matmul(composition.to(of_trained.scalar_type()), of_trained);
  };
  E0_ = at::matmul(composition, weights.tensor("elements.E0"));
  sender_ = embedding("sender_embedding.weight");
  receiver_ = weights.has("receiver_embedding.weight") ? embedding("receiver_embedding.weight") : sender_;
  if (weights.has("repulsion.switch.cutoff"))
    repulsion_ = {weights.number("repulsion.switch.cutoff"), weights.integer("repulsion.switch.exponent")};
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
          receiver,
          edges.species};
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
