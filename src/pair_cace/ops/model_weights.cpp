#include "model_weights.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/slice.h>
#include <ATen/ops/zeros_like.h>

namespace pair_cace {

ModelWeights ModelWeights::of(const NamedWeights &weights)
{
  ModelWeights model;
  model.n_basis = weights.tensor("sender_embedding.weight").size(1);
  model.frequencies = weights.tensor("radial.frequencies");
  model.mixing = weights.tensor("atomic_basis.mixing_weight");
  model.basis = basis_of(weights);
  model.readout = weights.network("readout.network");
  model.linear = weights.network("readout.linear");
  model.nu_max = weights.integer("nu_max");
  for (int64_t t = 0;; ++t) {
    const std::string layer = "layers." + std::to_string(t);
    if (!weights.has(layer + ".norm")) break;
    model.norm = weights.number(layer + ".norm");
    MessageLayerWeights of_layer{weights.network(layer + ".bchi.network"), messages_of(weights, layer, model.norm)};
    if (!of_layer.network.empty()) model.n_degrees = weights.integer(layer + ".bchi.n_degrees");
    model.messages.push_back(std::move(of_layer));
  }
  return model;
}

// For a model that is evaluated once, as in a validation, at::cat and permute would take a tenth of that.
template <class Real> Tensor ModelWeights::arranged_weights(int64_t t) const
{
  struct Rows {
    const Real *first;
    int64_t count, row, feature;    // strides
  };
  std::vector<Rows> parts;
  const auto add = [&](const Tensor &weight, int64_t first, int64_t feature) {
    parts.push_back({data_of<Real>(weight) + first, weight.size(0), weight.size(1), feature});
  };
  add(readout[0], t, n_layers() + 1);    // t is the fastest index of a feature
  if (!linear.empty()) add(linear[0], t, n_layers() + 1);
  if (has_network(t)) add(messages[t].network[0], 0, 1);
  int64_t n_outputs = 0;
  for (const Rows &part : parts) n_outputs += part.count;

  const int64_t C = n_channels(), M = n_radial(), N = n_invariants();
  Tensor result = at::empty({C, M, N, n_outputs}, readout[0].options());
  Real *to = data_of<Real>(result);
  for (int64_t mn = 0; mn < M * N; ++mn) {
    int64_t o = 0;
    for (const Rows &part : parts)
      for (int64_t k = 0; k < part.count; ++k, ++o) {
        const Real *from = part.first + k * part.row + mn * C * part.feature;
        for (int64_t c = 0; c < C; ++c) to[(c * M * N + mn) * n_outputs + o] = from[c * part.feature];
      }
  }
  return result;
}

Tensor ModelWeights::dense_weights(int64_t t) const
{
  return readout[0].scalar_type() == at::kFloat ? arranged_weights<float>(t) : arranged_weights<double>(t);
}

Tensor ModelWeights::stacked_weights(int64_t t) const
{
  Tensors parts{readout[0].slice(1, t, std::nullopt, n_layers() + 1)};    // t is the fastest index of a feature
  if (!linear.empty()) parts.push_back(linear[0].slice(1, t, std::nullopt, n_layers() + 1));
  if (has_network(t)) parts.push_back(messages[t].network[0]);
  return at::cat(parts);
}

Tensor ModelWeights::dense_biases(int64_t t) const
{
  Tensors parts{readout[1]};
  if (!linear.empty()) parts.push_back(linear[1]);
  if (t > 0)    // those of the readout count once
    for (Tensor &part : parts) part = at::zeros_like(part);
  if (has_network(t)) parts.push_back(messages[t].network[1]);
  return at::cat(parts).contiguous();
}

void ModelWeights::check() const
{
  const int64_t l_max = basis.l_max;
  TORCH_CHECK(1 <= nu_max && nu_max <= 4, "evaluate: expected nu_max from 1 to 4, got ", nu_max);
  TORCH_CHECK(0 <= l_max && l_max <= max_degree, "evaluate: expected l_max from 0 to ", max_degree, ", got ", l_max);
  TORCH_CHECK(mixing.dim() == 4 && frequencies.dim() == 1 && mixing.size(1) == basis.n_rbf &&
                  mixing.size(3) == n_channels(),
              "evaluate: embeddings of length ", n_basis, ", mixing ", mixing.sizes(), " and frequencies ",
              frequencies.sizes(), " do not fit each other");
  TORCH_CHECK(!readout.empty(), "evaluate: expected weight and bias of the readout, got none");
  check_same_type("evaluate", {mixing, frequencies, readout[0]});
  TORCH_CHECK(n_degrees == 1 || n_degrees == l_max + 1, "evaluate: expected 1 or ", l_max + 1,
              " weights of a message, got ", n_degrees);
  const int64_t n_features = n_radial() * n_invariants() * n_channels();
  const at::ScalarType type = mixing.scalar_type();
  check_network("readout", readout, n_features * (n_layers() + 1), type);
  TORCH_CHECK(readout.back().size(0) == 1, "evaluate: expected one output of the readout, got ",
              readout.back().size(0));
  if (!linear.empty()) check_network("linear readout", linear, n_features * (n_layers() + 1), type);
  for (const MessageLayerWeights &layer : messages) {
    for (const auto &message : layer.of_basis) message->check(*this);
    const Tensors &network = layer.network;
    if (network.empty()) continue;
    check_network("messages", network, n_features, type);
    const int64_t n_out = network.back().size(0);
    TORCH_CHECK(n_out == n_degrees || n_out == n_degrees * n_channels(), "evaluate: expected ", n_degrees, " or ",
                n_degrees * n_channels(), " outputs of a message network, got ", n_out);
  }
}

}    // namespace pair_cace
