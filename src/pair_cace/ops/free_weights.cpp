#include "free_weights.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/slice.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensordot.h>

namespace pair_cace {

namespace {

int64_t whole_vectors(int64_t n, int lanes)
{
  return (n + lanes - 1) / lanes * lanes;
}

// Panels of two vectors of columns, and perhaps one of one vector, behind each other.
Tensor packed(const Tensor &weight, int lanes)
{
  Tensors panels;
  for (int64_t o = 0; o < weight.size(1); o += 2 * lanes)
    panels.push_back(weight.slice(1, o, std::min(weight.size(1), o + 2 * lanes)).flatten());
  return at::cat(panels).contiguous();
}

}    // namespace

Tensor filled_up(const Tensor &table, int64_t axis, int64_t n)
{
  TORCH_INTERNAL_ASSERT(table.size(axis) <= n);
  if (table.size(axis) == n) return table;
  std::vector<int64_t> padding(2 * (table.dim() - axis), 0);
  padding.back() = n - table.size(axis);
  return at::constant_pad_nd(table, padding);
}

// ---- dense layers --------------------------------------------------------------------------------

template <class Real> PackedMatrix<Real>::PackedMatrix(const Tensor &weight, const Tensor &bias)
{
  const int lanes = free_kernels<Real>().lanes;
  const Tensor turned = filled_up(weight.t(), 1, whole_vectors(weight.size(0), lanes));
  const Tensor whole = filled_up(weight, 1, whole_vectors(weight.size(1), lanes));
  n_in_ = static_cast<int>(turned.size(1));
  n_out_ = static_cast<int>(whole.size(1));
  weight_ = packed(whole, lanes);
  // Columns of y that are not there have no gradient.
  turned_ = packed(filled_up(turned, 0, n_out_), lanes);
  if (bias.defined()) bias_ = filled_up(bias, 0, n_out_).contiguous();
  n_rows_ = static_cast<int>(weight.size(0));
}

template <class Real>
void PackedMatrix<Real>::values(const Groups &groups, Rows<const Real> x, Rows<Real> y, bool adds) const
{
  const RowProduct<Real> task{n_rows_,
                              n_out_,
                              data_of<Real>(weight_),
                              data_of<Real>(bias_),
                              groups.order,
                              groups.rows,
                              x.first,
                              x.group,
                              x.row,
                              y.first,
                              y.group,
                              y.row,
                              adds};
  free_kernels<Real>().product(task, groups.begin, groups.end);
}

template <class Real>
void PackedMatrix<Real>::gradient(const Groups &groups, Rows<const Real> grad_y, Rows<Real> grad_x, bool adds) const
{
  const RowProduct<Real> task{
      n_out_,       n_in_,      data_of<Real>(turned_), nullptr,      groups.order, groups.rows, grad_y.first,
      grad_y.group, grad_y.row, grad_x.first,           grad_x.group, grad_x.row,   adds};
  free_kernels<Real>().product(task, groups.begin, groups.end);
}

// ---- a model -------------------------------------------------------------------------------------

template <class Real> Tensor FreeWeights<Real>::by_channel(const Tensor &weight) const
{
  // (outputs, n_radial, N_B, C) to (outputs, N_B, P)
  const Tensor apart = weight.view({weight.size(0), n_radial, n_invariants(), -1}).transpose(1, 2);
  return filled_up(apart.flatten(2), 2, P).flatten(1);
}

template <class Real>
Tensor FreeWeights<Real>::expected(const NamedWeights &weights, const std::string &name, at::IntArrayRef shape) const
{
  const Tensor found = weights.tensor(name);
  TORCH_CHECK(found.sizes() == shape, "evaluate: expected ", name, " of shape ", shape, ", got ", found.sizes());
  TORCH_CHECK(found.scalar_type() == frequencies.scalar_type(), "evaluate: expected ", name, " in ",
              frequencies.scalar_type(), ", got ", found.scalar_type());
  return found;
}

template <class Real> FreeWeights<Real>::FreeWeights(const NamedWeights &weights)
{
  const int lanes = free_kernels<Real>().lanes;
  frequencies = weights.tensor("radial.frequencies");
  basis = basis_of(weights);
  nu_max = weights.integer("nu_max");
  TORCH_CHECK(1 <= nu_max && nu_max <= 4 && 0 <= basis.l_max && basis.l_max <= max_degree,
              "evaluate: expected nu_max from 1 to 4 and l_max from 0 to ", max_degree, ", got ", nu_max, " and ",
              basis.l_max);
  const Tensor composition = weights.tensor("elements.table");
  composition_ = composition.to(frequencies.scalar_type());
  n_basis = static_cast<int>(weights.tensor("sender_embedding.weight").size(1));
  n_products = static_cast<int>(weights.tensor("atomic_basis.mixing_weight").size(2));
  TORCH_CHECK(n_basis > 0 && n_products > 0 && n_products % (n_basis * n_basis) == 0, "evaluate: embeddings of length ",
              n_basis, " do not fit ", n_products, " product channels");
  n_radial = n_products / (n_basis * n_basis);
  P = static_cast<int>(whole_vectors(n_products, lanes));
  expected(weights, "sender_embedding.weight", {composition.size(1), n_basis});
  expected(weights, "receiver_embedding.weight", {composition.size(1), n_products});
  const Tensor table =
      expected(weights, "atomic_basis.mixing_weight", {basis.l_max + 1, basis.n_rbf * n_basis, n_products});
  for (const Tensor &of_degree : table.unbind()) mixing.emplace_back(of_degree, Tensor());
  for (int t = 0; weights.has("layers." + std::to_string(t) + ".norm"); ++t)
    messages.push_back(read_message(weights, "layers." + std::to_string(t)));

  const Tensors network = weights.network("readout.network"), linear = weights.network("readout.linear");
  const int64_t n_times = n_layers() + 1, n_features = int64_t(n_products) * n_invariants() * n_times;
  check_network("readout", network, n_features, frequencies.scalar_type());
  TORCH_CHECK(network.back().size(0) == 1, "evaluate: expected one output of the readout, got ",
              network.back().size(0));
  has_linear = !linear.empty();
  if (has_linear) check_network("linear readout", linear, n_features, frequencies.scalar_type());
  n_hidden = static_cast<int>(whole_vectors(network[0].size(0), lanes));
  for (int64_t t = 0; t < n_times; ++t) {    // t is the fastest index of a feature
    const auto of_layer = [&](const Tensor &weight) {
      return by_channel(weight.slice(1, t, std::nullopt, n_times).contiguous());
    };
    Tensor weight = filled_up(of_layer(network[0]), 0, n_hidden), bias = filled_up(network[1], 0, n_hidden);
    if (has_linear) {
      weight = at::cat({weight, of_layer(linear[0])});
      bias = at::cat({bias, linear[1]});
    }
    first.emplace_back(weight.t(), t == 0 ? bias : Tensor());
  }
  for (size_t k = 2; k < network.size(); k += 2) tail.emplace_back(network[k].t(), network[k + 1]);
}

template <class Real>
void FreeWeights<Real>::read_channels(const NamedWeights &weights, const std::string &scalars,
                                      const std::string &vectors, const FreeMessage<Real> &message)
{
  const Tensor says = weights.tensor((message.has_scalars ? scalars : vectors) + ".says.weight");
  const Tensor radial = weights.tensor((message.has_scalars ? scalars : vectors) + ".radial");
  TORCH_CHECK(says.dim() == 3 && radial.dim() == 3, "evaluate: expected tables of what is told, got shapes ",
              says.sizes(), " and ", radial.sizes());
  const int64_t m = says.size(1) / (message.has_scalars ? 2 : 1), r = m > 0 ? radial.size(2) / m : 0;
  TORCH_CHECK(r > 0 && (n_told == 0 || (n_told == m && n_functions == r)), "evaluate: expected ",
              n_told > 0 ? n_told : 1, " channels of messages, and as many radial functions in every layer, got ", m,
              " and ", r);
  TORCH_CHECK(basis.l_max > 0 || !message.has_vectors, "evaluate: expected an l_max of 1 or more with vectors, got 0");
  n_told = static_cast<int>(m);
  n_functions = static_cast<int>(r);
  // The same on machines with other instructions, which may be other ranks.
  M = static_cast<int>(whole_vectors(m, 64 / sizeof(Real)));
}

template <class Real>
FreeMessage<Real> FreeWeights<Real>::read_message(const NamedWeights &weights, const std::string &layer)
{
  const int lanes = free_kernels<Real>().lanes, L = basis.l_max;
  const double norm = weights.number(layer + ".norm");
  FreeMessage<Real> message;
  if (weights.has(layer + ".memory.weight")) {
    const Tensor of_products = expected(weights, layer + ".memory.weight", {n_radial, L + 1, n_basis * n_basis});
    message.memory = filled_up(of_products.transpose(0, 1).flatten(1), 1, P).contiguous();
  }
  const std::string scalars = layer + ".scalars", vectors = layer + ".vectors";
  message.has_scalars = weights.has(scalars + ".radial");
  message.has_vectors = weights.has(vectors + ".radial");
  if (!message.travels()) return message;
  read_channels(weights, scalars, vectors, message);
  const int64_t m = n_told, r = n_functions, n_elements = composition_.size(1);
  const int64_t n_features = int64_t(n_products) * n_invariants();

  // (n_rbf, L+1, (r, m)) to (L+1, columns / lanes, n_rbf, lanes)
  const auto in_vectors = [&](const std::string &name) {
    const Tensor radial = expected(weights, name, {basis.n_rbf, L + 1, r * m});
    const Tensor columns = filled_up(radial.view({basis.n_rbf, L + 1, r, m}), 3, M);
    return columns.reshape({basis.n_rbf, L + 1, -1, lanes}).permute({1, 2, 0, 3}).contiguous();
  };
  Tensors radial;
  if (message.has_scalars) radial.push_back(in_vectors(scalars + ".radial"));
  if (message.has_vectors) radial.push_back(in_vectors(vectors + ".radial"));
  message.radial = at::stack(radial).contiguous();

  const auto rows_of = [&](const std::string &name, int64_t l) {    // ((r, m), products) of degree l
    const Tensor rows = expected(weights, name, {L + 1, r * m, n_products})[l].view({r, m, n_products});
    return filled_up(rows, 1, M).flatten(0, 1) * norm;
  };
  for (int l = 0; l <= L; ++l) {
    Tensors parts;
    if (message.has_vectors && l < L) parts.push_back(rows_of(vectors + ".mixing_lower.mixing_weight", l));
    if (message.has_scalars) parts.push_back(rows_of(scalars + ".mixing.mixing_weight", l));
    if (message.has_vectors && l > 0) parts.push_back(rows_of(vectors + ".mixing_upper.mixing_weight", l));
    message.mixing.emplace_back(at::cat(parts), Tensor());
  }
  if (message.has_scalars) {
    message.scalars = expected(weights, scalars + ".says.weight", {n_elements, 2 * m, n_features});
    message.scalars_bias = expected(weights, scalars + ".says.bias", {n_elements, 2 * m});
  }
  if (message.has_vectors) {
    message.vector_gates = expected(weights, vectors + ".gates.weight", {n_elements, m, n_features});
    message.vector_gates_bias = expected(weights, vectors + ".gates.bias", {n_elements, m});
    message.vectors = expected(weights, vectors + ".says.weight", {n_elements, m, int64_t(L) * n_products});
  }
  return message;
}

template <class Real> const SaysOfElement<Real> &FreeWeights<Real>::says(int t, int64_t atomic_number) const
{
  const std::lock_guard lock(one_at_a_time_);
  std::unique_ptr<const SaysOfElement<Real>> &found = says_[{t, atomic_number}];
  if (found) return *found;
  const FreeMessage<Real> &message = messages[t];
  const Tensor shares = composition_[atomic_number];
  const auto of_element = [&](const Tensor &of_trained) { return at::tensordot(shares, of_trained, {0}, {0}); };
  // Every part of the outputs, M of them.
  Tensors rows, biases;
  const auto add = [&](const Tensor &weight, const Tensor &bias) {
    rows.push_back(filled_up(by_channel(weight), 0, M));
    biases.push_back(filled_up(bias, 0, M));
  };
  if (message.has_scalars) {
    const Tensor weight = of_element(message.scalars), bias = of_element(message.scalars_bias);
    for (const int64_t part : {0, 1}) add(weight.chunk(2)[part], bias.chunk(2)[part]);
  }
  auto says = std::make_unique<SaysOfElement<Real>>();
  if (message.has_vectors) {
    add(of_element(message.vector_gates), of_element(message.vector_gates_bias));
    const Tensor weight = of_element(message.vectors).view({n_told, basis.l_max, n_products});
    says->of_vectors = PackedMatrix<Real>(filled_up(filled_up(weight, 2, P).flatten(1), 0, M).t(), Tensor());
  }
  says->of_invariants = PackedMatrix<Real>(at::cat(rows).t(), at::cat(biases));
  found = std::move(says);
  return *found;
}

template class PackedMatrix<float>;
template class PackedMatrix<double>;
template class FreeWeights<float>;
template class FreeWeights<double>;

}    // namespace pair_cace
