// torch.ops.pair_cace.evaluate: energies and their gradient by edge vectors in one call, for models whose
// messages are Bchi alone. kernels/layer.h goes from edges to energies for a few atoms at a time; of an atom
// only the neighbour sums of the layers before the last are stored. It has no derivative: it is one.

#include "ghost_exchange.h"
#include "torch_glue.h"

#include <ATen/Dispatch.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/zeros_like.h>
#include <torch/library.h>

#include <tuple>
#include <vector>

namespace {

using namespace pair_cace;
using Tensors = std::vector<Tensor>;

void check_network(const char *name, at::TensorList network, int64_t n_in)
{
  TORCH_CHECK(!network.empty() && network.size() % 2 == 0, "evaluate: expected ", name,
              " as pairs of weight and bias, got ", network.size(), " tensors");
  for (size_t k = 0; k < network.size(); k += 2) {
    const Tensor &weight = network[k], &bias = network[k + 1];
    TORCH_CHECK(weight.dim() == 2 && bias.dim() == 1 && weight.size(0) == bias.size(0) &&
                    weight.size(1) == n_in,
                "evaluate: expected weight (…, ", n_in, ") and bias of ", name, ", got ",
                weight.sizes(), " and ", bias.sizes());
    n_in = weight.size(0);
  }
}

// A network behind its first dense layer.
template <class Real> class TailOf {
 public:
  explicit TailOf(at::TensorList network)
  {
    tail_.n_in = static_cast<int>(network[0].size(0));
    for (size_t k = 2; k < network.size(); ++k) kept_.push_back(network[k].contiguous());
    for (size_t k = 0; k < kept_.size(); k += 2)
      dense_.push_back({static_cast<int>(kept_[k].size(1)), static_cast<int>(kept_[k].size(0)),
                        data_of<Real>(kept_[k]), data_of<Real>(kept_[k + 1])});
  }

  Tail<Real> tail() const
  {
    Tail<Real> tail = tail_;
    tail.n_dense = static_cast<int>(dense_.size());
    tail.dense = dense_.data();
    return tail;
  }

 private:
  Tail<Real> tail_;
  Tensors kept_;
  std::vector<Dense<Real>> dense_;
};

struct Model {
  Basis basis;
  Tensor sender, receiver, frequencies, mixing;
  Tensors readout, linear;
  std::vector<Tensors> messages;    // the network of every message layer
  int64_t nu_max, n_degrees;
  double norm;    // of messages

  int64_t n_basis() const { return sender.size(1); }
  int64_t n_channels() const { return n_basis() * n_basis(); }
  int64_t n_radial() const { return mixing.size(2); }
  int64_t n_layers() const { return static_cast<int64_t>(messages.size()); }
  int64_t n_invariants() const
  {
    return number_of_invariants(basis.l_max, static_cast<int>(nu_max));
  }
  int64_t n_readout() const { return readout[0].size(0) + (linear.empty() ? 0 : 1); }

  // Columns of the weights of messages: one for every channel, or for every s if h has no channels.
  int64_t n_columns(int64_t t) const
  {
    return messages[t].back().size(0) == n_degrees ? n_basis() : n_channels();
  }

  // Weights of all dense layers that take the invariants of layer t, (C, n_radial, N_B, outputs).
  Tensor dense_weights(int64_t t) const
  {
    const auto of_layer = [&](const Tensor &weight) {    // t is the fastest index of a feature
      return weight.unflatten(1, {-1, n_layers() + 1}).select(2, t);
    };
    Tensors parts{of_layer(readout[0])};
    if (!linear.empty()) parts.push_back(of_layer(linear[0]));
    if (t < n_layers()) parts.push_back(messages[t][0]);
    return at::cat(parts)
        .unflatten(1, {n_radial(), n_invariants(), n_channels()})
        .permute({3, 1, 2, 0})
        .contiguous();
  }

  Tensor dense_biases(int64_t t) const
  {
    Tensors parts{readout[1]};
    if (!linear.empty()) parts.push_back(linear[1]);
    if (t > 0)    // those of the readout count once
      for (Tensor &part : parts) part = at::zeros_like(part);
    if (t < n_layers()) parts.push_back(messages[t][1]);
    return at::cat(parts).contiguous();
  }
};

void check(const Model &model, int64_t n_atoms)
{
  const int64_t l_max = model.basis.l_max;
  TORCH_CHECK(0 <= l_max && l_max <= max_degree, "evaluate: expected l_max from 0 to ", max_degree,
              ", got ", l_max);
  TORCH_CHECK(model.mixing.size(1) == model.basis.n_rbf && model.mixing.size(3) == model.n_channels() &&
                  model.receiver.size(1) == model.n_basis() && model.receiver.size(0) == n_atoms &&
                  n_atoms <= model.sender.size(0),
              "evaluate: sender embeddings ", model.sender.sizes(), ", receiver embeddings ",
              model.receiver.sizes(), " of ", n_atoms, " atoms, mixing ", model.mixing.sizes(),
              " and frequencies ", model.frequencies.sizes(), " do not fit each other");
  TORCH_CHECK(model.n_layers() == 0 || model.sender.size(0) == n_atoms || ghost_exchange(),
              "message passing: expected every sender to be an atom that receives, got ",
              model.sender.size(0) - n_atoms, " that only send");
  TORCH_CHECK(model.n_degrees == 1 || model.n_degrees == l_max + 1,
              "evaluate: expected 1 or ", l_max + 1, " weights of a message, got ", model.n_degrees);
  const int64_t n_features = model.n_radial() * model.n_invariants() * model.n_channels();
  check_network("readout", model.readout, n_features * (model.n_layers() + 1));
  TORCH_CHECK(model.readout.back().size(0) == 1, "evaluate: expected one output of the readout, got ",
              model.readout.back().size(0));
  if (!model.linear.empty())
    check_network("linear readout", model.linear, n_features * (model.n_layers() + 1));
  for (const Tensors &network : model.messages) {
    check_network("messages", network, n_features);
    const int64_t n_out = network.back().size(0);
    TORCH_CHECK(n_out == model.n_degrees || n_out == model.n_degrees * model.n_channels(),
                "evaluate: expected ", model.n_degrees, " or ", model.n_degrees * model.n_channels(),
                " outputs of a message network, got ", n_out);
  }
}

// What the layers of one evaluation keep, and the passes over them.
template <class Real> class Evaluation {
 public:
  Evaluation(const Model &model, const Tensor &vectors, const Tensor &senders,
             const Tensor &receivers, int64_t n_atoms)
      : model_(model), vectors_(vectors), senders_(senders),
        by_receiver_("evaluate", receivers, n_atoms), n_atoms_(n_atoms),
        shares_(n_atoms, kernels<Real>().atoms_at_once, multiply_adds()), readout_(model.readout),
        energies_(new_table(1)), gradient_(at::empty_like(vectors)),
        totals_(new_table(model.n_readout())), grad_totals_(new_table(model.n_readout()))
  {
    weights_.push_back(model.sender.unsqueeze(1));
    for (int64_t t = 0; t < model.n_layers(); ++t) {
      messages_.emplace_back(model.messages[t]);
      weights_.push_back(at::empty({model.sender.size(0), model.n_degrees, model.n_columns(t)},
                                   vectors.options()));
    }
    for (int64_t t = 0; t <= model.n_layers(); ++t) prepare(t);
  }

  std::tuple<Tensor, Tensor> run()
  {
    const Kernels<Real> &table = kernels<Real>();
    const int64_t last = model_.n_layers();
    GhostExchange *exchange = ghost_exchange();
    const auto width = [](const Tensor &weights) { return weights.size(1) * weights.size(2); };
    for (int64_t t = 0; t < last; ++t) {
      pass(t, table.layer);
      if (exchange) exchange->to_ghosts(data_of<Real>(weights_[t + 1]), width(weights_[t + 1]));
    }
    pass(last, table.last_layer);
    for (int64_t t = last - 1; t >= 0; --t) {
      const Tensor grad_next_weights = kept_[t + 1].grad_weights.total();
      if (exchange)
        exchange->from_ghosts(data_of<Real>(grad_next_weights), width(grad_next_weights));
      layers_[t].grad_next_weights = data_of<Real>(grad_next_weights);
      pass(t, table.layer_gradient);
    }
    return {energies_.squeeze(1), gradient_};
  }

 private:
  struct Kept {
    SharedSum grad_weights;
    Tensor dense_weights, dense_biases, mixing, raw, message_inputs;
  };

  Tensor new_table(int64_t row) const { return at::empty({n_atoms_, row}, vectors_.options()); }

  void prepare(int64_t t)
  {
    const bool is_last = t == model_.n_layers();
    Kept kept{SharedSum(t > 0, weights_[t], shares_), model_.dense_weights(t),
              model_.dense_biases(t),
              t == 0 ? model_.mixing : at::mul(model_.mixing, model_.norm), {}, {}};

    Layer<Real> layer;
    layer.sum.basis = model_.basis;
    layer.sum.n_degrees = static_cast<int>(weights_[t].size(1));
    layer.sum.n_weights = static_cast<int>(weights_[t].size(2));
    layer.sum.by_receiver = by_receiver_.grouping();
    layer.sum.senders = senders_.const_data_ptr<int64_t>();
    layer.sum.vectors.value = data_of<Real>(vectors_);
    layer.sum.weights.value = data_of<Real>(weights_[t]);
    layer.sum.frequencies.value = data_of<Real>(model_.frequencies);
    layer.sum.grad_vectors = data_of<Real>(gradient_);
    layer.mixing.l_max = model_.basis.l_max;
    layer.mixing.nu_max = static_cast<int>(model_.nu_max);
    layer.mixing.n_rbf = model_.basis.n_rbf;
    layer.mixing.n_radial = static_cast<int>(model_.n_radial());
    layer.mixing.n_basis = static_cast<int>(model_.n_basis());
    layer.mixing.n_weights = layer.sum.n_weights;
    layer.mixing.n_atoms = n_atoms_;
    layer.mixing.weight.value = data_of<Real>(kept.mixing);
    layer.mixing.receiver.value = data_of<Real>(model_.receiver);
    layer.n_readout = static_cast<int>(model_.n_readout());
    layer.weight = data_of<Real>(kept.dense_weights);
    layer.bias = data_of<Real>(kept.dense_biases);
    layer.readout = readout_.tail();
    layer.sender = data_of<Real>(model_.sender);
    layer.is_first = t == 0;
    layer.totals = data_of<Real>(totals_);
    layer.grad_totals = data_of<Real>(grad_totals_);
    layer.energies = data_of<Real>(energies_);
    if (!is_last) {
      layer.message = messages_[t].tail();
      layer.n_message = layer.message.n_in;
      layer.next_degrees = static_cast<int>(model_.n_degrees);
      layer.next_weights = static_cast<int>(model_.n_columns(t));
      kept.raw = new_table(layer.sum.size());
      kept.message_inputs = new_table(layer.n_message);
      layer.raw = data_of<Real>(kept.raw);
      layer.message_inputs = data_of<Real>(kept.message_inputs);
      layer.next_weights_of_atoms = data_of<Real>(weights_[t + 1]);
    }
    kept_.push_back(std::move(kept));
    layers_.push_back(layer);
  }

  void pass(int64_t t, typename Kernels<Real>::template Function<Layer<Real>> kernel) const
  {
    shares_.run([&](int64_t begin, int64_t end, int64_t share) {
      Layer<Real> mine = layers_[t];
      mine.sum.grad_weights = kept_[t].grad_weights.template of_share<Real>(share);
      kernel(mine, begin, end);
    });
  }

  int64_t multiply_adds() const
  {
    return senders_.size(0) * model_.basis.n_angular() * model_.basis.n_rbf * model_.n_channels();
  }

  const Model &model_;
  Tensor vectors_, senders_;
  GroupedEdges by_receiver_;
  int64_t n_atoms_;
  Shares shares_;
  TailOf<Real> readout_;
  std::vector<TailOf<Real>> messages_;
  Tensor energies_, gradient_, totals_, grad_totals_;
  Tensors weights_;    // of the senders, (senders, n_degrees, columns), of every layer
  std::vector<Kept> kept_;
  std::vector<Layer<Real>> layers_;
};

std::tuple<Tensor, Tensor> evaluate(const Tensor &vectors, const Tensor &senders,
                                    const Tensor &receivers, const Tensor &sender,
                                    const Tensor &receiver, const Tensor &frequencies,
                                    const Tensor &mixing, at::TensorList readout,
                                    at::TensorList linear, at::TensorList messages,
                                    int64_t n_layers, double prefactor, double cutoff,
                                    int64_t exponent, int64_t nu_max, int64_t n_degrees, double norm,
                                    int64_t n_atoms)
{
  at::AutoDispatchBelowADInplaceOrView below_autograd;
  check_vectors("evaluate", vectors, senders, receivers);
  TORCH_CHECK(mixing.dim() == 4 && sender.dim() == 2 && receiver.dim() == 2 && frequencies.dim() == 1,
              "evaluate: expected embeddings (N, K), frequencies (n_rbf,) and mixing (L+1, n_rbf, "
              "n_radial, C), got shapes ", sender.sizes(), ", ", receiver.sizes(), ", ",
              frequencies.sizes(), " and ", mixing.sizes());
  TORCH_CHECK(!readout.empty(), "evaluate: expected weight and bias of the readout, got none");
  TORCH_CHECK(1 <= nu_max && nu_max <= 4, "evaluate: expected nu_max from 1 to 4, got ", nu_max);
  check_same_type("evaluate", {vectors, sender, receiver, frequencies, mixing, readout[0]});
  check_indices("evaluate", senders, sender.size(0));
  Model model{{static_cast<int>(mixing.size(0) - 1), static_cast<int>(frequencies.size(0)), cutoff,
               static_cast<int>(exponent), prefactor},
              sender.contiguous(), receiver.contiguous(), frequencies.contiguous(),
              mixing.contiguous(), readout.vec(), linear.vec(), {}, nu_max, n_degrees, norm};
  for (int64_t t = 0; t < n_layers; ++t) {
    const size_t size = messages.size() / n_layers;
    model.messages.push_back(messages.slice(t * size, size).vec());
  }
  check(model, n_atoms);
  std::tuple<Tensor, Tensor> result;
  AT_DISPATCH_FLOATING_TYPES(vectors.scalar_type(), "evaluate", [&] {
    result = Evaluation<scalar_t>(model, vectors.contiguous(), senders.contiguous(),
                                  receivers.contiguous(), n_atoms)
                 .run();
  });
  return result;
}

}    // namespace

TORCH_LIBRARY_FRAGMENT(pair_cace, library)
{
  library.def("evaluate(Tensor vectors, Tensor senders, Tensor receivers, Tensor sender, "
              "Tensor receiver, Tensor frequencies, Tensor mixing, Tensor[] readout, Tensor[] linear, "
              "Tensor[] messages, int n_layers, float prefactor, float cutoff, int exponent, "
              "int nu_max, int n_degrees, float norm, int n_atoms) -> (Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(pair_cace, CPU, library)
{
  library.impl("evaluate", evaluate);
}

// Results never require a gradient, whatever the inputs do.
TORCH_LIBRARY_IMPL(pair_cace, AutogradCPU, library)
{
  library.impl("evaluate", evaluate);
}
