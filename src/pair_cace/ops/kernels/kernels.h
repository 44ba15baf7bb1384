// What the kernels compute, without torch. All tensors are contiguous and row-major; Real is the
// precision of the model. Signs as in ../edge_forces.h, the angular index 𝐥 as in nn/angular.py.
//
// Every kernel comes as a value, and as `_tangent`: the derivative along the direction that is given by
// the tangents of the inputs (see simd.h); results are then that derivative.
#pragma once

#include "host_device.h"

#include <cstdint>
#include <type_traits>

namespace pair_cace {

// An input and, for tangent kernels, its direction (null: zero).
template <class Real> struct Input {
  const Real *value = nullptr;
  const Real *tangent = nullptr;

  PAIR_CACE_HD Input from(int64_t place) const
  {
    return {value ? value + place : nullptr, tangent ? tangent + place : nullptr};
  }
};

// Edges grouped by one of their ends: those of atom i are order[start[i]] … order[start[i + 1] − 1];
// without `order`, they are start[i] … start[i + 1] − 1 themselves.
struct Grouping {
  const int64_t *start = nullptr;
  const int64_t *order = nullptr;

  PAIR_CACE_HD int64_t edge(int64_t k) const { return order ? order[k] : k; }
};

inline constexpr int max_degree = 8;    // highest l_max

// N_l, the number of 𝐥 up to degree l_max.
PAIR_CACE_HD constexpr int n_angular_up_to(int l_max)
{
  return (l_max + 1) * (l_max + 2) * (l_max + 3) / 6;
}

// Of R_n, see radial_function.h; the numbers are those of exported files.
enum class RadialKind { bessel = 0, stretched_bessel = 1 };

struct Basis {
  int l_max = 0, n_rbf = 0;
  double cutoff = 0.0;    // Å
  int exponent = 0;       // p of the polynomial cutoff
  double prefactor = 0.0;
  RadialKind radial = RadialKind::bessel;
  double length = 0.0;     // ρ of stretched_bessel, Å
  double stretch = 0.0;    // and r_c / (1 − exp(−r_c/ρ)), Å

  PAIR_CACE_HD int n_angular() const { return n_angular_up_to(l_max); }
};

// raw_{i,𝐥,n,w} = Σ_{e→i} R_n(r) f_c(r) û^𝐥 · weight_{j,l,w}                     (Eq. 3 and 5)
template <class Real> struct NeighborSum {
  Basis basis;
  int n_degrees = 1;    // of a weight: one for all l, or L+1
  int n_weights = 0;    // columns w: K or C
  Grouping by_receiver;
  const int64_t *senders = nullptr;    // (E,)
  Input<Real> vectors;                 // (E, 3) Å
  Input<Real> weights;                 // (senders, n_degrees, n_weights)
  Input<Real> frequencies;             // (n_rbf,) 1/Å
  const Real *grad_raw = nullptr;      // (N, N_l, n_rbf, n_weights); gradient kernels only

  // Results; those that are null are not wanted. Gradients by weights and frequencies are added to
  // what is there, on a CPU by one thread only.
  Real *raw = nullptr;                 // (N, N_l, n_rbf, n_weights)
  Real *grad_vectors = nullptr;        // (E, 3)
  Real *grad_weights = nullptr;        // (senders, n_degrees, n_weights)
  Real *grad_frequencies = nullptr;    // (copies, n_rbf)
  bool adds_to_vectors = false;        // to what is in grad_vectors
  int n_copies = 1;                    // of small gradients; on a GPU, atoms add to different ones

  PAIR_CACE_HD int row() const { return n_degrees * n_weights; }

  // The 𝐥 from here on are summed; those before follow (lower_degrees.h). In float64 all are summed: û is
  // r / (|r| + 1e-9 Å), which float64 can tell from a vector of length 1, and float32 cannot.
  int first_summed() const
  {
    const bool follow = std::is_same_v<Real, float> && n_degrees == 1 && basis.l_max >= 2;
    return follow ? n_angular_up_to(basis.l_max - 2) : 0;
  }
  // Of those, the ones that share the weights of degree d begin here; all do if there is one weight for all l.
  int first_angular(int d) const
  {
    if (n_degrees > 1) return n_angular_up_to(d - 1);
    return d == 0 ? first_summed() : basis.n_angular();
  }
  int64_t summed_size() const { return int64_t(basis.n_angular() - first_summed()) * basis.n_rbf * n_weights; }
  PAIR_CACE_HD int64_t size() const { return int64_t(basis.n_angular()) * basis.n_rbf * n_weights; }    // of raw
};

// A_{i,n',𝐥,c} = θ'_{i,q} Σ_n raw_{i,𝐥,n,w} W^(l)_{n,n',c} + extra_{i,n',𝐥,c}, c = (s, q), w = s or c,
// and the invariants B of A (Eq. 6 and 8-10). Without raw, A is `extra` alone.
template <class Real> struct Mixing {
  int l_max = 0, nu_max = 0;
  int n_rbf = 0, n_radial = 0, n_basis = 0;    // n_basis = K, C = K²
  int n_weights = 0;                           // columns of raw: K or C
  int64_t n_atoms = 0;
  Input<Real> raw;                          // (N, N_l, n_rbf, n_weights)
  Input<Real> weight;                       // (L+1, n_rbf, n_radial, C)
  Input<Real> receiver;                     // (N, K) θ'
  Input<Real> extra;                        // (N, n_radial, N_l, C)
  const Real *grad_basis = nullptr;         // (N, n_radial, N_l, C)
  const Real *grad_invariants = nullptr;    // (N, n_radial, N_B, C)

  Real *basis = nullptr;         // (N, n_radial, N_l, C)
  Real *invariants = nullptr;    // (N, n_radial, N_B, C)
  Real *grad_raw = nullptr;
  Real *grad_weight = nullptr;    // added; (copies, …) as above
  Real *grad_receiver = nullptr;
  Real *grad_extra = nullptr;
  int n_copies = 1;

  PAIR_CACE_HD int n_channels() const { return n_basis * n_basis; }
  PAIR_CACE_HD int n_angular() const { return n_angular_up_to(l_max); }
};

// message_{i,n',𝐥,c} = Σ_{e→i} a^(l)_{n',c} exp(−b^(l)_{n',c} r) f_c(r) A_{j,n',𝐥,c} + m^(l)_{n',c} A_{i,n',𝐥,c}
// (Eq. 12 and 11). Without amplitudes there is no sum, without `memory` no second term.
template <class Real> struct RadialMessage {
  int l_max = 0, n_radial = 0, n_channels = 0;
  double cutoff = 0.0;
  int exponent = 0;
  Grouping groups;                       // by receiver for the value, by sender for the gradient
  const int64_t *other = nullptr;        // (E,) the other end of every edge
  Input<Real> vectors;                   // (E, 3)
  Input<Real> amplitude, decay;          // (n_radial, L+1, C)
  Input<Real> basis;                     // (N, n_radial, N_l, C)
  const Real *memory = nullptr;          // (n_radial, L+1, C); a constant
  int64_t n_receivers = 0;               // the first atoms; the others only send
  const Real *grad_message = nullptr;    // (n_receivers, n_radial, N_l, C)

  Real *message = nullptr;    // (n_receivers, n_radial, N_l, C)
  Real *grad_vectors = nullptr;
  bool adds_to_vectors = false;                             // to what is in grad_vectors
  Real *grad_amplitude = nullptr, *grad_decay = nullptr;    // added; (copies, …) as above
  Real *grad_basis = nullptr;
  int n_copies = 1;

  PAIR_CACE_HD int n_angular() const { return n_angular_up_to(l_max); }
};

// Of g_{i,𝐥,d,c} = Σ_{e→i} Y_{e,𝐥} R_{e,l,c} h_{j,d,m}, Y = û^𝐥 and c = (r, m), or of a derivative of it: one of g, Y, R, h, from the
// three others (../tensor_message.cpp). It begins with zeros.
enum class TensorMessagePart { g, Y, R, h };

template <class Real> struct TensorMessageSum {
  int l_max = 0, n_components = 0, n_functions = 0, n_told = 0;    // one component (scalars), or three (vectors)
  Grouping by_receiver;
  const int64_t *senders = nullptr;    // (E,)
  Real *g = nullptr;                   // (N, N_l, n_components, n_columns())
  Real *Y = nullptr;                   // (E, N_l)
  Real *R = nullptr;                   // (E, L+1, n_columns())
  Real *h = nullptr;                   // (senders, n_components, n_told)

  PAIR_CACE_HD int n_columns() const { return n_functions * n_told; }
};

// y = W x + b.
template <class Real> struct Dense {
  int n_in = 0, n_out = 0;
  const Real *weight = nullptr;    // (n_out, n_in)
  const Real *bias = nullptr;      // (n_out,)
};

// A network behind its first layer, whose outputs it takes: x → W₂ σ(x) + b₂ → …, σ = SiLU. Without
// dense layers it passes on what it takes.
template <class Real> struct Tail {
  int n_in = 0, n_dense = 0;
  const Dense<Real> *dense = nullptr;

  int n_out() const { return n_dense > 0 ? dense[n_dense - 1].n_out : n_in; }
};

// Layer t of a model, from edges to the outputs of the dense layers that take its invariants: the first layer
// of the readout, with the linear readout if there is one, and the first of the Bchi network, if there is a
// layer t + 1 and it takes Bchi messages. Nothing larger than a row of `raw` per atom is kept, unless A itself
// is passed on. Without columns (sum.n_weights = 0) there is no neighbour sum.
template <class Real> struct Layer {
  NeighborSum<Real> sum;
  Mixing<Real> mixing;                 // shape and inputs without raw; of the results, grad_extra
  Real *basis = nullptr;               // A for M and Ar of the layer t + 1, (N, n_radial, N_l, C)
  const Real *grad_basis = nullptr;    // by their A
  int n_readout = 0, n_message = 0;    // outputs
  const Real *weight = nullptr;        // (C, n_radial, N_B, n_readout + n_message)
  const Real *bias = nullptr;          // (n_readout + n_message,)
  Tail<Real> readout;                  // of the first readout.n_in outputs of the readout
  Tail<Real> message;                  // to (n_degrees, 1 or columns) before θ
  int next_degrees = 0, next_weights = 0;
  const Real *sender = nullptr;     // (N, K) θ
  const Real *species = nullptr;    // (sum.n_weights, K) θ of a species, if the sum is by species
  bool is_first = true;

  Real *raw = nullptr;       // (N, sum.summed_size()); null in the last layer
  Real *totals = nullptr;    // (N, n_readout), added up over the layers
  Real *grad_totals = nullptr;
  Real *message_inputs = nullptr;           // (N, n_message)
  Real *next_weights_of_atoms = nullptr;    // (N, next_degrees, next_weights)
  const Real *grad_next_weights = nullptr;
  Real *energies = nullptr;    // (N,)
};

// N_B, the number of invariants of a column.
[[gnu::visibility("default")]] int number_of_invariants(int l_max, int nu_max);

template <class Real> struct FreeKernels;    // free_kernels.h

// Kernels for one instruction set. A call treats atoms begin … end − 1; different calls may run at once.
template <class Real> struct Kernels {
  template <class Task> using Function = void (*)(const Task &, int64_t begin, int64_t end);

  const char *instructions;
  int atoms_at_once;    // mixing treats so many atoms together: begin must be a multiple
  Function<NeighborSum<Real>> neighbor_sum, neighbor_sum_tangent;
  Function<NeighborSum<Real>> neighbor_sum_gradient, neighbor_sum_gradient_tangent;
  Function<Mixing<Real>> mixing, mixing_tangent, mixing_gradient, mixing_gradient_tangent;
  Function<RadialMessage<Real>> message, message_tangent, message_gradient, message_gradient_tangent;
  Function<Layer<Real>> layer, last_layer, layer_gradient;    // begin: a multiple of atoms_at_once
  const FreeKernels<Real> *free = nullptr;                    // of freely mixed channels; null: none
  Function<TensorMessageSum<Real>> tensor_message[4] = {};    // by TensorMessagePart, on a GPU; null: other loops
};

// The best for this machine; PAIR_CACE_INSTRUCTIONS=baseline|avx2|avx512 in the environment asks for
// others, for tests.
template <class Real> const Kernels<Real> &kernels();

// Kernels under a further name, for tests; to be added before the choice is made, and kept.
[[gnu::visibility("default")]] void add_kernels(const Kernels<float> &table);
[[gnu::visibility("default")]] void add_kernels(const Kernels<double> &table);

}    // namespace pair_cace
