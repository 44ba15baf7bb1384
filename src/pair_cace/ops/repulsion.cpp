#include "repulsion.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

namespace pair_cace {

namespace {

constexpr double coulomb = 14.399645;           // e² / (4π ε0), eV Å
constexpr double screening_length = 0.46850;    // Å
constexpr double amplitudes[] = {0.18175, 0.50986, 0.28022, 0.02817};
constexpr double decays[] = {3.19980, 0.94229, 0.40290, 0.20162};

struct ValueAndSlope {
  Tensor value, slope;
};

// f_c of nn/radial/cutoff.py
ValueAndSlope switched_off(const Tensor &r, const Repulsion &repulsion)
{
  const double p = repulsion.exponent;
  const Tensor x = r / repulsion.cutoff;
  const Tensor power = at::pow(x, p - 1);
  const Tensor value = 1.0 - power * x * (0.5 * (p + 1) * (p + 2) - x * (p * (p + 2) - x * (0.5 * p * (p + 1))));
  const Tensor slope = power * (x - 1.0).square() * (-0.5 * p * (p + 1) * (p + 2) / repulsion.cutoff);
  const Tensor is_inside = r < repulsion.cutoff, zero = at::zeros_like(r);
  return {at::where(is_inside, value, zero), at::where(is_inside, slope, zero)};
}

ValueAndSlope screened(const Tensor &r, const Tensor &inverse_length)
{
  const Tensor x = r * inverse_length;
  ValueAndSlope phi{at::zeros_like(r), at::zeros_like(r)};
  for (int k = 0; k < 4; ++k) {
    const Tensor term = at::exp(x * -decays[k]) * amplitudes[k];
    phi.value += term;
    phi.slope -= term * decays[k];
  }
  phi.slope *= inverse_length;
  return phi;
}

}    // namespace

Tensor repulsion_energies(const Repulsion &repulsion, const Surroundings &atoms, const Tensor &species,
                          const Tensor &gradient)
{
  const Tensor energies = at::zeros({atoms.n_atoms()}, gradient.options().dtype(at::kDouble));
  Tensor vectors = atoms.vectors.to(at::kDouble), senders = atoms.senders, receivers = atoms.receivers, edges;
  if (vectors.is_cpu()) {    // few are so close; on a GPU nobody waits for their number
    edges = at::nonzero(vectors.square().sum(1) < repulsion.cutoff * repulsion.cutoff).squeeze(1);
    if (edges.numel() == 0) return energies;
    vectors = vectors.index_select(0, edges);
    senders = senders.index_select(0, edges);
    receivers = receivers.index_select(0, edges);
  }
  const Tensor r = at::linalg_vector_norm(vectors, 2, 1);
  const Tensor charges = species.to(at::kDouble), powers = at::pow(charges, 0.23);
  const Tensor z = charges.index_select(0, senders) * charges.index_select(0, receivers);
  const Tensor inverse_length =
      (powers.index_select(0, senders) + powers.index_select(0, receivers)) / screening_length;
  const ValueAndSlope phi = screened(r, inverse_length), f = switched_off(r, repulsion);
  const Tensor half = z * (0.5 * coulomb) / r;    // each end of a pair has half of its energy
  const Tensor pairs = half * phi.value * f.value;
  const Tensor slopes = half * (phi.slope * f.value + phi.value * f.slope) - pairs / r;
  const Tensor by_vectors = (vectors * (slopes / r).unsqueeze(1)).to(gradient.scalar_type());
  if (edges.defined())
    gradient.index_add_(0, edges, by_vectors);
  else
    gradient.add_(by_vectors);
  return energies.index_add_(0, receivers, pairs);
}

}    // namespace pair_cace
