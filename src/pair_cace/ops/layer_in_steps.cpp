#include "layer_in_steps.h"

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

template <class Value> Value *moved(Value *table, int64_t places)
{
  return table ? table + places : nullptr;
}

// The same layer for n atoms from `begin` on, which are 0 … n − 1 in it.
template <class Real> Layer<Real> part_of(Layer<Real> layer, int64_t begin, int64_t n)
{
  Mixing<Real> &mixing = layer.mixing;
  const int64_t row = int64_t(mixing.n_radial) * mixing.n_angular() * mixing.n_channels();
  layer.sum.by_receiver.start += begin;
  mixing.n_atoms = n;
  mixing.receiver = mixing.receiver.from(begin * mixing.n_basis);
  mixing.extra = mixing.extra.from(begin * row);
  mixing.grad_extra = moved(mixing.grad_extra, begin * row);
  layer.basis = moved(layer.basis, begin * row);
  layer.grad_basis = moved(layer.grad_basis, begin * row);
  return layer;
}

}    // namespace

template <class Real>
LayerInSteps<Real>::LayerInSteps(const ModelWeights &model, int64_t t, const Layer<Real> &layer,
                                 const LayerTensors &tensors, const Tensor &weight, const Tensor &bias, int64_t begin,
                                 int64_t end)
    : model_(model), t_(t), begin_(begin), n_(end - begin), layer_(part_of(layer, begin, n_)), tensors_(tensors),
      weight_(weight), bias_(bias)
{
}

template <class Real> Tensor LayerInSteps<Real>::place_of_raw() const
{
  if (layer_.sum.n_weights == 0) return {};
  if (tensors_.raw.defined()) return mine(tensors_.raw);
  return at::empty({n_, layer_.sum.size()}, bias_.options());
}

template <class Real> Tensor LayerInSteps<Real>::outputs()
{
  const Kernels<Real> &table = kernels_for<Real>(bias_);
  raw_ = place_of_raw();
  if (raw_.defined()) {
    NeighborSum<Real> sum = layer_.sum;
    sum.raw = data_of<Real>(raw_);
    table.neighbor_sum(sum, 0, n_);
  }
  const Tensor invariants =
      tensors_.invariants.defined() ? mine(tensors_.invariants) : at::empty({n_, weight_.size(1)}, bias_.options());
  Mixing<Real> mixing = layer_.mixing;
  mixing.raw.value = data_of<Real>(raw_);
  mixing.basis = layer_.basis;
  mixing.invariants = data_of<Real>(invariants);
  mixing.grad_extra = nullptr;
  table.mixing(mixing, 0, n_);
  return at::linear(invariants, weight_, bias_);
}

template <class Real> void LayerInSteps<Real>::values()
{
  const Tensor found = outputs();
  const int64_t n_readout = model_.n_readout();
  Tensor totals = mine(tensors_.totals);
  if (layer_.is_first)
    totals.copy_(found.slice(1, 0, n_readout));
  else
    totals.add_(found.slice(1, 0, n_readout));
  if (!model_.has_network(t_)) return;

  const Tensor inputs = found.slice(1, n_readout);
  mine(tensors_.message_inputs).copy_(inputs);
  const Tensor h = TailInSteps{model_.messages[t_].network}.values(inputs);
  const int64_t K = model_.n_basis, columns = model_.n_columns(t_);
  const Tensor sender = mine(tensors_.sender).view({n_, 1, K, 1});
  // (N, degrees, s, q), or with one weight for all channels (N, degrees, s, 1)
  const Tensor by_pair = columns == K ? h.view({n_, -1, 1, 1}) : h.reshape({n_, -1, K, columns / K});
  mine(tensors_.next_weights).copy_((by_pair * sender).flatten(2));
}

template <class Real> void LayerInSteps<Real>::values_and_gradients()
{
  Tensor totals = outputs().slice(1, 0, model_.n_readout());
  if (!layer_.is_first) totals = totals + mine(tensors_.totals);
  const int64_t n_first = model_.readout[0].size(0);
  TailInSteps readout{model_.readout};
  Tensor energies = readout.values(totals.slice(1, 0, n_first));
  Tensor grad = readout.gradient(at::ones({n_, 1}, totals.options()));
  if (!model_.linear.empty()) {
    energies = energies + totals.slice(1, n_first);
    grad = at::cat({grad, at::ones({n_, 1}, totals.options())}, 1);
  }
  mine(tensors_.energies).copy_(energies);
  if (!layer_.is_first) mine(tensors_.grad_totals).copy_(grad);
  add_gradients(grad, false);
}

template <class Real> void LayerInSteps<Real>::gradients()
{
  Tensor grad = mine(tensors_.grad_totals);
  if (model_.has_network(t_)) {
    TailInSteps network{model_.messages[t_].network};
    network.values(mine(tensors_.message_inputs));
    const int64_t K = model_.n_basis, columns = model_.n_columns(t_);
    const Tensor sender = mine(tensors_.sender).view({n_, 1, K, 1});
    const Tensor by_pair = mine(tensors_.grad_next_weights).view({n_, -1, K, columns / K}) * sender;
    const Tensor grad_h = columns == K ? by_pair.sum({2, 3}) : by_pair.flatten(1);
    grad = at::cat({grad, network.gradient(grad_h)}, 1);
  }
  raw_ = place_of_raw();
  add_gradients(grad, true);
}

template <class Real> void LayerInSteps<Real>::add_gradients(const Tensor &grad_outputs, bool adds_to_vectors)
{
  const Kernels<Real> &table = kernels_for<Real>(bias_);
  const Tensor grad_invariants = at::mm(grad_outputs, weight_);
  const Tensor grad_raw = raw_.defined() ? at::empty_like(raw_) : Tensor();
  Mixing<Real> mixing = layer_.mixing;
  mixing.raw.value = data_of<Real>(raw_);
  mixing.grad_invariants = data_of<Real>(grad_invariants);
  mixing.grad_basis = layer_.grad_basis;
  mixing.grad_raw = data_of<Real>(grad_raw);
  table.mixing_gradient(mixing, 0, n_);
  if (!raw_.defined()) return;
  NeighborSum<Real> sum = layer_.sum;
  sum.grad_raw = data_of<Real>(grad_raw);
  sum.adds_to_vectors = adds_to_vectors;
  table.neighbor_sum_gradient(sum, 0, n_);
}

template class LayerInSteps<float>;
template class LayerInSteps<double>;

}    // namespace pair_cace
