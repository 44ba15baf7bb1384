#include "layer_in_chunks.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/silu_backward.h>
#include <ATen/ops/slice.h>

namespace pair_cace {

namespace {

// A network behind its first layer, see Tail: values, and gradient by the inputs.
struct TailInSteps {
  at::TensorList network;
  Tensors inputs = {};    // of every activation

  Tensor values(Tensor x)
  {
    for (size_t k = 2; k < network.size(); k += 2) {
      inputs.push_back(x);
      x = at::linear(at::silu(x), network[k], network[k + 1]);
    }
    return x;
  }

  Tensor gradient(Tensor grad) const
  {
    for (size_t k = network.size(); k > 2; k -= 2)
      grad = at::silu_backward(at::mm(grad, network[k - 2]), inputs[k / 2 - 2]);
    return grad;
  }
};

// Address of row 0 of a table of which `part` holds the rows from `begin` on: kernels count from 0.
template <class Real> Real *row_zero(const Tensor &part, int64_t begin, int64_t row)
{
  return part.defined() ? part.data_ptr<Real>() - begin * row : nullptr;
}

}    // namespace

template <class Real>
LayerInChunks<Real>::LayerInChunks(const ModelWeights &model, int64_t t, const Layer<Real> &layer,
                                   const LayerTensors &tensors)
    : model_(model), t_(t), layer_(layer), tensors_(tensors), bias_(model.dense_biases(t))
{
  Tensors parts{model.readout[0].slice(1, t, std::nullopt, model.n_layers() + 1)};
  if (!model.linear.empty()) parts.push_back(model.linear[0].slice(1, t, std::nullopt, model.n_layers() + 1));
  if (model.has_network(t)) parts.push_back(model.messages[t].network[0]);
  weight_ = at::cat(parts);
}

template <class Real> Tensor LayerInChunks<Real>::place_of_raw(int64_t begin, int64_t end) const
{
  if (layer_.sum.n_weights == 0) return {};
  if (tensors_.raw.defined()) return tensors_.raw.slice(0, begin, end);
  return at::empty({end - begin, layer_.sum.size()}, bias_.options());
}

template <class Real> Tensor LayerInChunks<Real>::outputs(int64_t begin, int64_t end)
{
  const Kernels<Real> &table = kernels_for<Real>(bias_);
  raw_ = place_of_raw(begin, end);
  if (raw_.defined()) {
    NeighborSum<Real> sum = layer_.sum;
    sum.raw = row_zero<Real>(raw_, begin, sum.size());
    table.neighbor_sum(sum, begin, end);
  }
  const int64_t n_features = weight_.size(1);
  const Tensor invariants = at::empty({end - begin, n_features}, bias_.options());
  Mixing<Real> mixing = layer_.mixing;
  mixing.raw.value = row_zero<Real>(raw_, begin, layer_.sum.size());
  mixing.basis = layer_.basis;
  mixing.invariants = row_zero<Real>(invariants, begin, n_features);
  mixing.grad_extra = nullptr;
  table.mixing(mixing, begin, end);
  return at::linear(invariants, weight_, bias_);
}

template <class Real> void LayerInChunks<Real>::values(int64_t begin, int64_t end)
{
  const Tensor found = outputs(begin, end);
  const int64_t n_readout = model_.n_readout();
  Tensor totals = tensors_.totals.slice(0, begin, end);
  if (layer_.is_first)
    totals.copy_(found.slice(1, 0, n_readout));
  else
    totals.add_(found.slice(1, 0, n_readout));
  if (!model_.has_network(t_)) return;

  const Tensor inputs = found.slice(1, n_readout);
  tensors_.message_inputs.slice(0, begin, end).copy_(inputs);
  const Tensor h = TailInSteps{model_.messages[t_].network}.values(inputs);
  const int64_t K = model_.n_basis(), columns = model_.n_columns(t_);
  const Tensor sender = tensors_.sender.slice(0, begin, end).view({end - begin, 1, K, 1});
  // (N, degrees, s, q), or with one weight for all channels (N, degrees, s, 1)
  const Tensor by_pair = columns == K ? h.view({end - begin, -1, 1, 1}) : h.reshape({end - begin, -1, K, columns / K});
  tensors_.next_weights.slice(0, begin, end).copy_((by_pair * sender).flatten(2));
}

template <class Real> void LayerInChunks<Real>::values_and_gradients(int64_t begin, int64_t end)
{
  Tensor totals = outputs(begin, end).slice(1, 0, model_.n_readout());
  if (!layer_.is_first) totals = totals + tensors_.totals.slice(0, begin, end);
  const int64_t n_first = model_.readout[0].size(0);
  TailInSteps readout{model_.readout};
  Tensor energies = readout.values(totals.slice(1, 0, n_first));
  Tensor grad = readout.gradient(at::ones({end - begin, 1}, totals.options()));
  if (!model_.linear.empty()) {
    energies = energies + totals.slice(1, n_first);
    grad = at::cat({grad, at::ones({end - begin, 1}, totals.options())}, 1);
  }
  tensors_.energies.slice(0, begin, end).copy_(energies);
  if (!layer_.is_first) tensors_.grad_totals.slice(0, begin, end).copy_(grad);
  add_gradients(begin, end, grad, false);
}

template <class Real> void LayerInChunks<Real>::gradients(int64_t begin, int64_t end)
{
  Tensor grad = tensors_.grad_totals.slice(0, begin, end);
  if (model_.has_network(t_)) {
    TailInSteps network{model_.messages[t_].network};
    network.values(tensors_.message_inputs.slice(0, begin, end));
    const int64_t K = model_.n_basis(), columns = model_.n_columns(t_);
    const Tensor sender = tensors_.sender.slice(0, begin, end).view({end - begin, 1, K, 1});
    const Tensor by_pair =
        tensors_.grad_next_weights.slice(0, begin, end).view({end - begin, -1, K, columns / K}) * sender;
    const Tensor grad_h = columns == K ? by_pair.sum({2, 3}) : by_pair.flatten(1);
    grad = at::cat({grad, network.gradient(grad_h)}, 1);
  }
  raw_ = place_of_raw(begin, end);
  add_gradients(begin, end, grad, true);
}

template <class Real>
void LayerInChunks<Real>::add_gradients(int64_t begin, int64_t end, const Tensor &grad_outputs, bool adds_to_vectors)
{
  const Kernels<Real> &table = kernels_for<Real>(bias_);
  const Tensor grad_invariants = at::mm(grad_outputs, weight_);
  const Tensor grad_raw = raw_.defined() ? at::empty_like(raw_) : Tensor();
  Mixing<Real> mixing = layer_.mixing;
  mixing.raw.value = row_zero<Real>(raw_, begin, layer_.sum.size());
  mixing.grad_invariants = row_zero<Real>(grad_invariants, begin, weight_.size(1));
  mixing.grad_basis = layer_.grad_basis;
  mixing.grad_raw = row_zero<Real>(grad_raw, begin, layer_.sum.size());
  table.mixing_gradient(mixing, begin, end);
  if (!raw_.defined()) return;
  NeighborSum<Real> sum = layer_.sum;
  sum.grad_raw = row_zero<Real>(grad_raw, begin, sum.size());
  sum.adds_to_vectors = adds_to_vectors;
  table.neighbor_sum_gradient(sum, begin, end);
}

template class LayerInChunks<float>;
template class LayerInChunks<double>;

}    // namespace pair_cace
