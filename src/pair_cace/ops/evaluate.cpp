// torch.ops.pair_cace.evaluate: energies and their gradient by edge vectors in one call. kernels/layer.h goes
// from edges to energies for a few atoms at a time; of an atom only the neighbour sums of the layers before the
// last are stored, and, with messages M or Ar, A. It has no derivative: it is one. Kernels without whole layers
// (CUDA) take the way of layer_in_chunks.h.

#include "ghost_exchange.h"
#include "layer_in_chunks.h"
#include "model_weights.h"
#include "species_table.h"

#include <ATen/Dispatch.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/DeviceGuard.h>
#include <torch/library.h>

#include <algorithm>
#include <optional>
#include <tuple>
#include <vector>

namespace {

using namespace pair_cace;

// Memory of the host for a table of a GPU, which the GPU reads and writes by itself; torch keeps it for the next.
Tensor staging(const Tensor &table)
{
  return at::empty_like(table, table.options().device(at::kCPU).pinned_memory(true));
}

// Rows of n_atoms atoms go to their ghosts, which are behind them. Of a table on a GPU only the rows that are needed
// travel to the host and back.
template <class Real> void to_ghosts(GhostExchange &exchange, const Tensor &table, int64_t width, int64_t n_atoms)
{
  if (!table.is_cuda()) return exchange.to_ghosts(data_of<Real>(table), width);
  const Tensor on_host = staging(table);
  on_host.slice(0, 0, n_atoms).copy_(table.slice(0, 0, n_atoms));
  exchange.to_ghosts(data_of<Real>(on_host), width);
  table.slice(0, n_atoms).copy_(on_host.slice(0, n_atoms), /*non_blocking=*/true);
}

template <class Real> void from_ghosts(GhostExchange &exchange, const Tensor &table, int64_t width, int64_t n_atoms)
{
  if (!table.is_cuda()) return exchange.from_ghosts(data_of<Real>(table), width);
  const Tensor on_host = staging(table);
  on_host.slice(0, 0, n_atoms).zero_();
  on_host.slice(0, n_atoms).copy_(table.slice(0, n_atoms));
  exchange.from_ghosts(data_of<Real>(on_host), width);
  const Tensor sums = on_host.slice(0, 0, n_atoms).to(table.device(), /*non_blocking=*/true);
  table.slice(0, 0, n_atoms).add_(sums);
}

// What the layers of one evaluation keep, and the passes over them.
template <class Real> class Evaluation {
 public:
  Evaluation(const ModelWeights &model, const Tensor &vectors, const Tensor &senders, const Tensor &receivers,
             int64_t n_atoms)
      : model_(model), vectors_(vectors), senders_(senders), receivers_(receivers),
        by_receiver_("evaluate", receivers, n_atoms), n_atoms_(n_atoms), table_(kernels_for<Real>(vectors)),
        shares_(n_atoms, table_.atoms_at_once, multiply_adds(), vectors), readout_(model.readout),
        energies_(new_table(1)), gradient_(at::zeros_like(vectors)), totals_(new_table(model.n_readout())),
        grad_totals_(new_table(model.n_readout()))
  {
    if (table_.layer) species_ = SpeciesTable::fewer_than_columns<Real>(model.sender);
    weights_.push_back(species_ ? species_->one_hot.unsqueeze(1) : model.sender.unsqueeze(1));
    for (int64_t t = 0; t < model.n_layers(); ++t) {
      networks_.emplace_back(model.messages[t].network);
      weights_.push_back(at::empty({n_senders(), model.n_degrees, model.n_columns(t)}, vectors.options()));
      if (model.messages[t].passes_basis() && !grad_basis_.defined()) {
        grad_message_ = new_table(n_features());
        grad_basis_ = at::empty({n_senders(), n_features()}, vectors.options());
      }
      if (model.messages[t].amplitude.defined() && !by_sender_) by_sender_.emplace("evaluate", senders, n_senders());
    }
    for (int64_t t = 0; t <= model.n_layers(); ++t) prepare(t);
  }

  std::tuple<Tensor, Tensor> run()
  {
    const int64_t last = model_.n_layers();
    for (int64_t t = 0; t < last; ++t) {
      pass(t, table_.layer, &LayerInChunks<Real>::values);
      send_messages(t);
    }
    pass(last, table_.last_layer, &LayerInChunks<Real>::values_and_gradients);
    for (int64_t t = last - 1; t >= 0; --t) {
      kept_[t].grad_next_weights = return_messages(t);
      layers_[t].grad_next_weights = data_of<Real>(kept_[t].grad_next_weights);
      pass(t, table_.layer_gradient, &LayerInChunks<Real>::gradients);
    }
    return {energies_.squeeze(1), gradient_};
  }

 private:
  static constexpr int64_t atoms_of_chunk = 1 << 16;    // fill a GPU, and take some hundred MB

  struct Kept {
    SharedSum grad_weights;
    Tensor dense_weights, dense_biases, mixing, raw, message_inputs;
    Tensor basis, message;    // A that layer t passes on; what it is told of that of layer t − 1
    Tensor grad_next_weights;
  };

  int64_t n_senders() const { return model_.sender.size(0); }
  int64_t n_features() const { return model_.n_radial() * model_.basis.n_angular() * model_.n_channels(); }
  Tensor new_table(int64_t row) const { return at::empty({n_atoms_, row}, vectors_.options()); }

  void prepare(int64_t t)
  {
    const bool is_last = t == model_.n_layers();
    const bool passes_basis = !is_last && model_.messages[t].passes_basis();
    const bool takes_basis = t > 0 && model_.messages[t - 1].passes_basis();
    const bool has_sum = weights_[t].size(2) > 0;
    Kept kept{SharedSum(t > 0 && has_sum, weights_[t], shares_),
              table_.layer ? model_.dense_weights(t) : Tensor(),
              model_.dense_biases(t),
              t == 0 ? model_.mixing : at::mul(model_.mixing, model_.norm),
              {},
              {},
              {},
              {},
              {}};

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
    if (t == 0 && species_) {
      layer.mixing.n_weights = layer.mixing.n_basis;
      layer.species = data_of<Real>(species_->rows);
    }
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
      kept.raw = new_table(table_.layer ? layer.sum.summed_size() : layer.sum.size());
      layer.raw = data_of<Real>(kept.raw);
    }
    if (model_.has_network(t)) {
      layer.message = networks_[t].tail();
      layer.n_message = layer.message.n_in;
      layer.next_degrees = static_cast<int>(model_.n_degrees);
      layer.next_weights = static_cast<int>(model_.n_columns(t));
      kept.message_inputs = new_table(layer.n_message);
      layer.message_inputs = data_of<Real>(kept.message_inputs);
      layer.next_weights_of_atoms = data_of<Real>(weights_[t + 1]);
    }
    kept_.push_back(std::move(kept));
    layers_.push_back(layer);
  }

  // By a kernel, or where there is none, by the same in steps.
  void pass(int64_t t, typename Kernels<Real>::template Function<Layer<Real>> kernel,
            void (LayerInChunks<Real>::*in_steps)(int64_t, int64_t)) const
  {
    if (!kernel) {
      const Kept &kept = kept_[t];
      Layer<Real> layer = layers_[t];
      layer.sum.grad_weights = kept.grad_weights.template of_share<Real>(0);
      LayerInChunks<Real> steps(model_, t, layer,
                                {kept.raw, totals_, grad_totals_, energies_, kept.message_inputs,
                                 model_.has_network(t) ? weights_[t + 1] : Tensor(), kept.grad_next_weights,
                                 model_.sender});
      for (int64_t begin = 0; begin < n_atoms_; begin += atoms_of_chunk)
        (steps.*in_steps)(begin, std::min(n_atoms_, begin + atoms_of_chunk));
      return;
    }
    shares_.run([&](int64_t begin, int64_t end, int64_t share) {
      Layer<Real> mine = layers_[t];
      mine.sum.grad_weights = kept_[t].grad_weights.template of_share<Real>(share);
      kernel(mine, begin, end);
    });
  }

  // ---- between layers t and t + 1 ----------------------------------------------------------------

  // The weights of Bchi are made by the layer, and here sent to ghosts; A becomes messages M and Ar.
  void send_messages(int64_t t)
  {
    GhostExchange *exchange = ghost_exchange();
    const MessageWeights &message = model_.messages[t];
    if (exchange && model_.has_network(t))
      to_ghosts<Real>(*exchange, weights_[t + 1], width(weights_[t + 1]), n_atoms_);
    if (!message.passes_basis()) return;
    if (exchange && message.amplitude.defined()) to_ghosts<Real>(*exchange, kept_[t].basis, n_features(), n_atoms_);
    RadialMessage<Real> task = message_of_basis(t);
    task.groups = by_receiver_.grouping();
    task.other = senders_.const_data_ptr<int64_t>();
    task.message = data_of<Real>(kept_[t + 1].message);
    const auto kernel = table_.message;
    Shares(n_atoms_, 1, multiply_adds_of_basis(), vectors_).run([&](int64_t begin, int64_t end, int64_t) {
      kernel(task, begin, end);
    });
  }

  // Gradients by A, in grad_basis_, and by the weights of Bchi, which are returned.
  Tensor return_messages(int64_t t)
  {
    GhostExchange *exchange = ghost_exchange();
    const MessageWeights &message = model_.messages[t];
    const Tensor grad_weights = kept_[t + 1].grad_weights.total();
    if (exchange && model_.has_network(t)) from_ghosts<Real>(*exchange, grad_weights, width(grad_weights), n_atoms_);
    if (!message.passes_basis()) return grad_weights;
    RadialMessage<Real> task = message_of_basis(t);
    int64_t n = n_atoms_;
    if (message.amplitude.defined()) {
      n = n_senders();
      task.groups = by_sender_->grouping();
      task.other = receivers_.const_data_ptr<int64_t>();
    }
    task.grad_message = data_of<Real>(grad_message_);
    task.grad_vectors = data_of<Real>(gradient_);
    task.adds_to_vectors = true;
    task.grad_basis = data_of<Real>(grad_basis_);
    const auto kernel = table_.message_gradient;
    Shares(n, 1, multiply_adds_of_basis(), vectors_).run([&](int64_t begin, int64_t end, int64_t) {
      kernel(task, begin, end);
    });
    if (exchange && message.amplitude.defined()) from_ghosts<Real>(*exchange, grad_basis_, n_features(), n_atoms_);
    return grad_weights;
  }

  RadialMessage<Real> message_of_basis(int64_t t) const
  {
    const MessageWeights &message = model_.messages[t];
    RadialMessage<Real> task;
    task.l_max = model_.basis.l_max;
    task.n_radial = static_cast<int>(model_.n_radial());
    task.n_channels = static_cast<int>(model_.n_channels());
    task.cutoff = model_.basis.cutoff;
    task.exponent = model_.basis.exponent;
    task.vectors.value = data_of<Real>(vectors_);
    task.basis.value = data_of<Real>(kept_[t].basis);
    task.amplitude.value = data_of<Real>(message.amplitude);
    task.decay.value = data_of<Real>(message.decay);
    task.memory = data_of<Real>(message.memory);
    task.n_receivers = n_atoms_;
    return task;
  }

  static int64_t width(const Tensor &weights) { return weights.size(1) * weights.size(2); }

  int64_t multiply_adds() const
  {
    return senders_.size(0) * model_.basis.n_angular() * model_.basis.n_rbf * model_.n_channels();
  }

  int64_t multiply_adds_of_basis() const { return (senders_.size(0) + n_atoms_) * n_features(); }

  const ModelWeights &model_;
  Tensor vectors_, senders_, receivers_;
  GroupedEdges by_receiver_;
  std::optional<GroupedEdges> by_sender_;
  int64_t n_atoms_;
  const Kernels<Real> &table_;
  Shares shares_;
  TailOf<Real> readout_;
  std::vector<TailOf<Real>> networks_;
  std::optional<SpeciesTable> species_;    // of the senders, if the first layer sums by species
  Tensor energies_, gradient_, totals_, grad_totals_;
  Tensor grad_message_, grad_basis_;    // by the messages M and Ar, and by the A they are made of
  Tensors weights_;                     // of the senders, (senders, n_degrees, columns), of every layer
  std::vector<Kept> kept_;
  std::vector<Layer<Real>> layers_;
};

Tensors contiguous(at::TensorList list)
{
  Tensors result;
  for (const Tensor &tensor : list) result.push_back(tensor.contiguous());
  return result;
}

std::tuple<Tensor, Tensor> evaluate(const Tensor &vectors, const Tensor &senders, const Tensor &receivers,
                                    const Tensor &sender, const Tensor &receiver, const Tensor &frequencies,
                                    const Tensor &mixing, at::TensorList readout, at::TensorList linear,
                                    at::TensorList networks, at::TensorList amplitudes, at::TensorList decays,
                                    at::TensorList memories, int64_t n_layers, double prefactor, double cutoff,
                                    int64_t exponent, int64_t nu_max, int64_t n_degrees, double norm, int64_t n_atoms)
{
  at::AutoDispatchBelowADInplaceOrView below_autograd;
  const c10::DeviceGuard on_device(vectors.device());
  check_vectors("evaluate", vectors, senders, receivers);
  TORCH_CHECK(mixing.dim() == 4 && sender.dim() == 2 && receiver.dim() == 2 && frequencies.dim() == 1,
              "evaluate: expected embeddings (N, K), frequencies (n_rbf,) and mixing (L+1, n_rbf, "
              "n_radial, C), got shapes ",
              sender.sizes(), ", ", receiver.sizes(), ", ", frequencies.sizes(), " and ", mixing.sizes());
  TORCH_CHECK(!readout.empty(), "evaluate: expected weight and bias of the readout, got none");
  TORCH_CHECK(1 <= nu_max && nu_max <= 4, "evaluate: expected nu_max from 1 to 4, got ", nu_max);
  check_same_type("evaluate", {vectors, sender, receiver, frequencies, mixing, readout[0]});
  check_indices("evaluate", senders, sender.size(0));
  ModelWeights model{{static_cast<int>(mixing.size(0) - 1), static_cast<int>(frequencies.size(0)), cutoff,
                      static_cast<int>(exponent), prefactor},
                     sender.contiguous(),
                     receiver.contiguous(),
                     frequencies.contiguous(),
                     mixing.contiguous(),
                     contiguous(readout),
                     contiguous(linear),
                     {},
                     nu_max,
                     n_degrees,
                     norm};
  for (int64_t t = 0; t < n_layers; ++t) {
    MessageWeights message;
    const size_t size = networks.size() / n_layers;
    message.network = contiguous(networks.slice(t * size, size));
    for (auto [list, tensor] :
         {std::pair{amplitudes, &message.amplitude}, {decays, &message.decay}, {memories, &message.memory}}) {
      TORCH_CHECK(list.empty() || list.size() == static_cast<size_t>(n_layers),
                  "evaluate: expected tensors for none or all of ", n_layers, " layers, got ", list.size());
      if (list.empty()) continue;
      check_same_type("evaluate", {vectors, list[t]});
      *tensor = list[t].contiguous();
    }
    TORCH_CHECK(message.amplitude.defined() == message.decay.defined(),
                "evaluate: expected as many amplitudes as decays, got ", amplitudes.size(), " and ", decays.size());
    model.messages.push_back(std::move(message));
  }
  model.check(n_atoms);
  std::tuple<Tensor, Tensor> result;
  AT_DISPATCH_FLOATING_TYPES(vectors.scalar_type(), "evaluate", [&] {
    result =
        Evaluation<scalar_t>(model, vectors.contiguous(), senders.contiguous(), receivers.contiguous(), n_atoms).run();
  });
  return result;
}

}    // namespace

TORCH_LIBRARY_FRAGMENT(pair_cace, library)
{
  library.def("evaluate(Tensor vectors, Tensor senders, Tensor receivers, Tensor sender, "
              "Tensor receiver, Tensor frequencies, Tensor mixing, Tensor[] readout, Tensor[] linear, "
              "Tensor[] networks, Tensor[] amplitudes, Tensor[] decays, Tensor[] memories, "
              "int n_layers, float prefactor, float cutoff, int exponent, "
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

TORCH_LIBRARY_IMPL(pair_cace, CUDA, library)
{
  library.impl("evaluate", evaluate);
}

TORCH_LIBRARY_IMPL(pair_cace, AutogradCUDA, library)
{
  library.impl("evaluate", evaluate);
}
