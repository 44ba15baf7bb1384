// Forwards through the layers of a model, and back. kernels/layer.h goes from edges to energies for a few atoms at a
// time; of an atom only the neighbour sums of the layers before the last are stored, and, with messages M or Ar, A.
// Kernels without whole layers (CUDA) take the way of layer_in_steps.h, and so does who wants the invariants.

#include "potential.h"

#include "layer_in_steps.h"
#include "species_table.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace pair_cace {

namespace {

// A network behind its first dense layer; none if there is none.
template <class Real> class TailOf {
 public:
  explicit TailOf(at::TensorList network)
  {
    if (network.empty()) return;
    tail_.n_in = static_cast<int>(network[0].size(0));
    for (size_t k = 2; k < network.size(); ++k) kept_.push_back(network[k].contiguous());
    for (size_t k = 0; k < kept_.size(); k += 2)
      dense_.push_back({static_cast<int>(kept_[k].size(1)), static_cast<int>(kept_[k].size(0)), data_of<Real>(kept_[k]),
                        data_of<Real>(kept_[k + 1])});
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

// What is the same in every evaluation.
template <class Real> struct ArrangedWeights {
  ArrangedWeights(const ModelWeights &weights, const Kernels<Real> &table)
      : model(weights), readout(model.readout), scaled_mixing(at::mul(model.mixing, model.norm))
  {
    for (int64_t t = 0; t <= model.n_layers(); ++t) {
      dense.push_back(table.layer ? model.dense_weights(t) : model.stacked_weights(t));
      biases.push_back(model.dense_biases(t));
      if (t < model.n_layers()) networks.emplace_back(model.messages[t].network);
    }
  }

  ModelWeights model;
  Tensors dense, biases;    // of every layer, as its kernels want them
  TailOf<Real> readout;
  std::vector<TailOf<Real>> networks;
  Tensor scaled_mixing;    // of the layers behind messages
};

// What one evaluation keeps of its layers, and the passes over them.
template <class Real> class Recursion {
 public:
  Recursion(const ArrangedWeights<Real> &weights, const Surroundings &atoms, GhostExchange *exchange,
            bool wants_features)
      : arranged_(weights), model_(weights.model), atoms_(atoms), exchange_(exchange), n_atoms_(atoms.n_atoms()),
        table_(kernels_for<Real>(atoms.vectors)), has_whole_layers_(table_.layer && !wants_features),
        wants_features_(wants_features), by_receiver_(edges_by_receiver()),
        shares_(n_atoms_, table_.atoms_at_once, multiply_adds(), atoms.vectors), energies_(new_table(1)),
        gradient_(at::zeros_like(atoms.vectors)), totals_(new_table(model_.n_readout())),
        grad_totals_(new_table(model_.n_readout()))
  {
    if (has_whole_layers_) species_ = SpeciesTable::fewer_than_columns<Real>(atoms.sender);
    weights_.push_back(species_ ? species_->one_hot.unsqueeze(1) : atoms.sender.unsqueeze(1));
    for (int64_t t = 0; t < model_.n_layers(); ++t) {
      weights_.push_back(at::empty({atoms.n_senders(), model_.n_degrees, model_.n_columns(t)},
                                   atoms.vectors.options()));
      if (model_.passes_basis(t) && !grad_basis_.defined()) {
        grad_message_ = new_table(n_features());
        grad_basis_ = at::empty({atoms.n_senders(), n_features()}, atoms.vectors.options());
      }
      for (const auto &message : model_.messages[t].of_basis)
        if (message->travels() && !wants_features && !by_sender_) by_sender_ = edges_by_sender();
    }
    for (int64_t t = 0; t <= model_.n_layers(); ++t) prepare(t);
  }

  std::tuple<Tensor, Tensor> energies_and_gradient()
  {
    const int64_t last = model_.n_layers();
    for (int64_t t = 0; t < last; ++t) {
      pass(t, table_.layer, &LayerInSteps<Real>::values);
      send_messages(t);
    }
    pass(last, table_.last_layer, &LayerInSteps<Real>::values_and_gradients);
    for (int64_t t = last - 1; t >= 0; --t) {
      kept_[t].tensors.grad_next_weights = return_messages(t);
      layers_[t].grad_next_weights = data_of<Real>(kept_[t].tensors.grad_next_weights);
      pass(t, table_.layer_gradient, &LayerInSteps<Real>::gradients);
    }
    return {energies_.squeeze(1), gradient_};
  }

  Tensor features()
  {
    Tensors of_layers;
    for (int64_t t = 0; t <= model_.n_layers(); ++t) {
      pass(t, nullptr, &LayerInSteps<Real>::values);
      if (t < model_.n_layers()) send_messages(t);
      of_layers.push_back(
          kept_[t].tensors.invariants.view({n_atoms_, model_.n_radial(), model_.n_invariants(), model_.n_channels()}));
    }
    return at::stack(of_layers, -1);
  }

 private:
  static constexpr int64_t atoms_of_chunk = 1 << 16;    // fill a GPU, and take some hundred MB

  struct Kept {
    SharedSum grad_weights;
    LayerTensors tensors;
    Tensor basis, message;    // A that layer t passes on; what it is told of that of layer t − 1
  };

  int64_t n_features() const { return model_.n_radial() * model_.basis.n_angular() * model_.n_channels(); }
  Tensor new_table(int64_t row) const { return at::empty({n_atoms_, row}, atoms_.vectors.options()); }

  GroupedEdges edges_by_receiver() const
  {
    if (atoms_.first_edge.defined()) return GroupedEdges::of_first(atoms_.first_edge);
    return {"evaluate", atoms_.receivers, n_atoms_};
  }

  GroupedEdges edges_by_sender() const
  {
    if (atoms_.first_edge.defined()) return GroupedEdges::in_no_order(atoms_.senders, atoms_.n_senders());
    return {"evaluate", atoms_.senders, atoms_.n_senders()};
  }

  void prepare(int64_t t)
  {
    const bool is_last = t == model_.n_layers();
    const bool passes_basis = model_.passes_basis(t), takes_basis = model_.passes_basis(t - 1);
    const bool has_sum = weights_[t].size(2) > 0;
    Kept kept{SharedSum(t > 0 && has_sum, weights_[t], shares_), {}, {}, {}};
    LayerTensors &tensors = kept.tensors;
    tensors.totals = totals_;
    tensors.grad_totals = grad_totals_;
    tensors.energies = energies_;
    tensors.sender = atoms_.sender;

    Layer<Real> layer;
    layer.sum.basis = model_.basis;
    layer.sum.n_degrees = static_cast<int>(weights_[t].size(1));
    layer.sum.n_weights = static_cast<int>(weights_[t].size(2));
    layer.sum.by_receiver = by_receiver_.grouping();
    layer.sum.senders = atoms_.senders.const_data_ptr<int64_t>();
    layer.sum.vectors.value = data_of<Real>(atoms_.vectors);
    layer.sum.weights.value = data_of<Real>(weights_[t]);
    layer.sum.frequencies.value = data_of<Real>(model_.frequencies);
    layer.sum.grad_vectors = data_of<Real>(gradient_);
    layer.mixing.l_max = model_.basis.l_max;
    layer.mixing.nu_max = static_cast<int>(model_.nu_max);
    layer.mixing.n_rbf = model_.basis.n_rbf;
    layer.mixing.n_radial = static_cast<int>(model_.n_radial());
    layer.mixing.n_basis = static_cast<int>(model_.n_basis);
    layer.mixing.n_weights = layer.sum.n_weights;
    if (t == 0 && species_) {
      layer.mixing.n_weights = layer.mixing.n_basis;
      layer.species = data_of<Real>(species_->rows);
    }
    layer.mixing.n_atoms = n_atoms_;
    layer.mixing.weight.value = data_of<Real>(t == 0 ? model_.mixing : arranged_.scaled_mixing);
    layer.mixing.receiver.value = data_of<Real>(atoms_.receiver);
    layer.n_readout = static_cast<int>(model_.n_readout());
    layer.weight = data_of<Real>(arranged_.dense[t]);
    layer.bias = data_of<Real>(arranged_.biases[t]);
    layer.readout = arranged_.readout.tail();
    layer.sender = data_of<Real>(atoms_.sender);
    layer.is_first = t == 0;
    layer.totals = data_of<Real>(totals_);
    layer.grad_totals = data_of<Real>(grad_totals_);
    layer.energies = data_of<Real>(energies_);
    if (takes_basis) {
      kept.message = new_table(n_features());
      layer.mixing.extra.value = data_of<Real>(kept.message);
      layer.mixing.grad_extra = data_of<Real>(grad_message_);
    }
    if (passes_basis) {
      kept.basis = at::empty_like(grad_basis_);
      layer.basis = data_of<Real>(kept.basis);
      layer.grad_basis = data_of<Real>(grad_basis_);
    }
    if (!is_last) {
      tensors.raw = new_table(has_whole_layers_ ? layer.sum.summed_size() : layer.sum.size());
      layer.raw = data_of<Real>(tensors.raw);
    }
    if (wants_features_)
      tensors.invariants = new_table(model_.n_radial() * model_.n_invariants() * model_.n_channels());
    if (model_.has_network(t)) {
      layer.message = arranged_.networks[t].tail();
      layer.n_message = layer.message.n_in;
      layer.next_degrees = static_cast<int>(model_.n_degrees);
      layer.next_weights = static_cast<int>(model_.n_columns(t));
      tensors.message_inputs = new_table(layer.n_message);
      tensors.next_weights = weights_[t + 1];
      layer.message_inputs = data_of<Real>(tensors.message_inputs);
      layer.next_weights_of_atoms = data_of<Real>(weights_[t + 1]);
    }
    kept_.push_back(std::move(kept));
    layers_.push_back(layer);
  }

  // By a kernel, or where there is none, by the same in steps.
  void pass(int64_t t, typename Kernels<Real>::template Function<Layer<Real>> kernel,
            void (LayerInSteps<Real>::*in_steps)()) const
  {
    if (!kernel) {
      Layer<Real> layer = layers_[t];
      layer.sum.grad_weights = kept_[t].grad_weights.template of_share<Real>(0);
      const Tensor weight = table_.layer ? model_.stacked_weights(t) : arranged_.dense[t];
      for (int64_t begin = 0; begin < n_atoms_; begin += atoms_of_chunk) {
        const int64_t end = std::min(n_atoms_, begin + atoms_of_chunk);
        LayerInSteps<Real> steps(model_, t, layer, kept_[t].tensors, weight, arranged_.biases[t], begin, end);
        (steps.*in_steps)();
      }
      return;
    }
    shares_.run([&](int64_t begin, int64_t end, int64_t share) {
      Layer<Real> mine = layers_[t];
      mine.sum.grad_weights = kept_[t].grad_weights.template of_share<Real>(share);
      kernel(mine, begin, end);
    });
  }

  // ---- between layers t and t + 1 ----------------------------------------------------------------

  // The weights of Bchi are made by the layer, and here sent to ghosts; A becomes messages.
  void send_messages(int64_t t)
  {
    if (exchange_ && model_.has_network(t)) to_ghosts(*exchange_, weights_[t + 1], n_atoms_);
    BetweenLayers between = between_layers(t);
    for (const auto &message : model_.messages[t].of_basis) {
      message->send(between);
      between.adds = true;
    }
  }

  // Gradients by A, in grad_basis_, and by the weights of Bchi, which are returned.
  Tensor return_messages(int64_t t)
  {
    const Tensor grad_weights = kept_[t + 1].grad_weights.total();
    if (exchange_ && model_.has_network(t)) from_ghosts(*exchange_, grad_weights, n_atoms_);
    BetweenLayers between = between_layers(t);
    for (const auto &message : model_.messages[t].of_basis) {
      message->bring_back(between);
      between.adds = true;
    }
    return grad_weights;
  }

  BetweenLayers between_layers(int64_t t) const
  {
    return {model_,
            atoms_,
            exchange_,
            &by_receiver_,
            by_sender_ ? &*by_sender_ : nullptr,
            kept_[t].basis,
            kept_[t + 1].message,
            grad_message_,
            grad_basis_,
            gradient_};
  }

  int64_t multiply_adds() const
  {
    return atoms_.senders.size(0) * model_.basis.n_angular() * model_.basis.n_rbf * model_.n_channels();
  }

  const ArrangedWeights<Real> &arranged_;
  const ModelWeights &model_;
  const Surroundings &atoms_;
  GhostExchange *exchange_;
  int64_t n_atoms_;
  const Kernels<Real> &table_;
  bool has_whole_layers_, wants_features_;
  GroupedEdges by_receiver_;
  std::optional<GroupedEdges> by_sender_;
  Shares shares_;
  std::optional<SpeciesTable> species_;    // of the senders, if the first layer sums by species
  Tensor energies_, gradient_, totals_, grad_totals_;
  Tensor grad_message_, grad_basis_;    // by the messages M and Ar, and by the A they are made of
  Tensors weights_;                     // of the senders, (senders, n_degrees, columns), of every layer
  std::vector<Kept> kept_;
  std::vector<Layer<Real>> layers_;
};

template <class Real> class PotentialOf final : public Potential {
 public:
  explicit PotentialOf(const ModelWeights &weights) : weights_(weights, kernels_for<Real>(weights.mixing)) {}

  int64_t values_per_ghost() const override { return 0; }    // as files say

  std::tuple<Tensor, Tensor> evaluate(const Surroundings &atoms, GhostExchange *exchange) const override
  {
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    const c10::DeviceGuard on_device(atoms.vectors.device());
    check(atoms, exchange);
    return Recursion<Real>(weights_, atoms, exchange, false).energies_and_gradient();
  }

  Tensor features(const Surroundings &atoms, GhostExchange *exchange) const override
  {
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    const c10::DeviceGuard on_device(atoms.vectors.device());
    check(atoms, exchange);
    return Recursion<Real>(weights_, atoms, exchange, true).features();
  }

 private:
  void check(const Surroundings &atoms, bool exchanges) const
  {
    const ModelWeights &model = weights_.model;
    check_surroundings(atoms, model.mixing, model.n_basis, model.n_basis, model.n_layers() > 0, exchanges);
  }

  ArrangedWeights<Real> weights_;
};

}    // namespace

void check_surroundings(const Surroundings &atoms, const Tensor &like, int64_t n_basis, int64_t n_of_receiver,
                        bool has_messages, bool exchanges)
{
  check_vectors("evaluate", atoms.vectors, atoms.senders, atoms.receivers);
  check_same_type("evaluate", {like, atoms.vectors, atoms.sender, atoms.receiver});
  TORCH_CHECK(atoms.sender.dim() == 2 && atoms.receiver.dim() == 2 && atoms.sender.size(1) == n_basis &&
                  atoms.receiver.size(1) == n_of_receiver && atoms.n_atoms() <= atoms.n_senders(),
              "evaluate: expected embeddings of length ", n_basis, " of senders, and of length ", n_of_receiver,
              " of receivers among them, got ", atoms.sender.sizes(), " and ", atoms.receiver.sizes());
  TORCH_CHECK(!has_messages || atoms.n_senders() == atoms.n_atoms() || exchanges,
              "message passing: expected every sender to be an atom that receives, got ",
              atoms.n_senders() - atoms.n_atoms(), " that only send");
  if (!atoms.first_edge.defined()) check_indices("evaluate", atoms.senders, atoms.n_senders());
}

namespace {

bool mixes_freely(const NamedWeights &weights)
{
  return weights.tensor("atomic_basis.mixing_weight").dim() == 3;    // (L+1, in, P)
}

}    // namespace

bool has_kernels(const NamedWeights &weights)
{
  const Tensor mixing = weights.tensor("atomic_basis.mixing_weight");
  if (mixing.is_cuda() && !has_cuda_kernels()) return false;
  return !mixes_freely(weights) || kernels_for<float>(mixing).free;
}

std::unique_ptr<Potential> Potential::of(const NamedWeights &named)
{
  at::AutoDispatchBelowADInplaceOrView below_autograd;
  TORCH_CHECK(has_kernels(named), "evaluate: there are no kernels for this model where its weights are");
  if (mixes_freely(named)) return free_potential(named);
  const ModelWeights weights = ModelWeights::of(named);
  weights.check();
  if (weights.mixing.scalar_type() == at::kFloat) return std::make_unique<PotentialOf<float>>(weights);
  return std::make_unique<PotentialOf<double>>(weights);
}

}    // namespace pair_cace
