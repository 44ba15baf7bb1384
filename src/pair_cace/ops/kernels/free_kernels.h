// What the kernels of models with freely mixed channels compute (nn/free_basis.py, nn/messages/tensors.py), without
// torch. Here channels are the lanes of vectors: rows of tables are filled with zeros up to whole vectors, which stay
// zero, and their lengths, P for product channels and M for channels of messages, are multiples of
// `lanes`. An atom is `begin` … `end` − 1 of the tables that a task names; nothing here is added to unless it says so.
#pragma once

#include "kernels.h"

namespace pair_cace {

// y_o = Σ_k x_k W_{k,o} + b_o for many rows x. W is packed as `pack` does it.
template <class Real> struct RowProduct {
  int n_in = 0, n_out = 0;    // n_out: whole vectors
  const Real *weight = nullptr, *bias = nullptr;
  // Row q of group g is at q · row, behind order[g] · group or, without order, g · group.
  const int64_t *order = nullptr;
  int rows_per_group = 1;
  const Real *x = nullptr;
  int64_t x_group = 0, x_row = 0;
  Real *y = nullptr;
  int64_t y_group = 0, y_row = 0;
  bool adds = false;    // to what is in y
};

// A_{𝐥,k} = ρ_k x_{𝐥,k} + m^(l)_k A'_{𝐥,k}, the invariants B of every channel k, and its vectors
// v^0_α = A_{e_α}, v^κ_α = Σ_{|𝐜|=κ} M(𝐜) A_𝐜 A_{𝐜+e_α}, κ < L.
template <class Real> struct ProductChannels {
  int l_max = 0, nu_max = 0, n_channels = 0;
  const Real *factor = nullptr;                       // ρ, (N, P); null: 1
  const Real *memory = nullptr, *before = nullptr;    // m, (L+1, P), and A', (N, N_l, P); null: none
  Real *basis = nullptr;                              // (N, N_l, P): x, which becomes A
  Real *invariants = nullptr;                         // (N, N_B, P)
  Real *vectors = nullptr;                            // (N, 3, L, P); null: not wanted

  const Real *grad_invariants = nullptr, *grad_vectors = nullptr;
  const Real *grad_by_next = nullptr;    // by A in the memory of the next layer; null: none
  Real *grad_basis = nullptr;            // by x
  Real *grad_before = nullptr;           // by A'; may be the table of grad_by_next
};

// What atoms tell: a scalar h⁰ and a vector h¹ for every m < M, or one of them.
struct Told {
  int M = 0;
  bool has_scalars = false, has_vectors = false;

  int n_said() const { return (has_scalars ? 1 : 0) + (has_vectors ? 3 : 0); }
};

// Σ_{e→i} of what senders j say, a scalar h⁰ and a vector h¹ for every m < M, with radial functions
// R_{l,c} = Σ_n w_{n,l,c} R_n f_c of their own, c = (r, m):
//   scalars    Σ R_{l,c} û^𝐥 h⁰
//   lower      Σ R_{l+1,c} û^𝐥 (û·h¹)                          for l < L: contracted to degree l
//   upper      Σ R_{l−1,c} Σ_α (l_α / l) û^{𝐥−e_α} h¹_α        for l > 0: made symmetric
// Columns of a row are (lower, scalars, upper), or those of them that there are.
template <class Real> struct TensorSum : Told {
  Basis basis;
  int n_functions = 0;    // r
  Grouping by_receiver;
  const int64_t *senders = nullptr;    // (E,)
  Input<Real> vectors;                 // (E, 3) Å
  Input<Real> frequencies;             // (n_rbf,) 1/Å
  const Real *radial = nullptr;        // w: (scalars, vectors; L+1; r M / lanes; n_rbf; lanes)
  const Real *told = nullptr;          // (senders, n_said, M)
  const Real *grad_sums = nullptr;     // (end − begin, N_l, width)

  Real *sums = nullptr;            // (end − begin, N_l, width)
  Real *grad_vectors = nullptr;    // (E, 3)
  bool adds_to_vectors = false;
  Real *grad_told = nullptr;    // added

  int n_columns() const { return M * n_functions; }
  int width() const { return ((has_scalars ? 1 : 0) + (has_vectors ? 2 : 0)) * n_columns(); }
  int first_scalar() const { return has_vectors ? n_columns() : 0; }
  int first_upper() const { return first_scalar() + (has_scalars ? n_columns() : 0); }
  int64_t size() const { return int64_t(basis.n_angular()) * width(); }
};

// What an atom says, from rows of `said`: s, gates g⁰ of scalars, gates g¹ of vectors, and vectors w;
// h⁰ = s · 2σ(g⁰), h¹ = w · 2σ(g¹).
template <class Real> struct Gates : Told {
  const Real *said = nullptr;    // (N, width())
  Real *told = nullptr;          // (N, n_said, M)
  const Real *grad_told = nullptr;
  Real *grad_said = nullptr;

  int n_linear() const { return ((has_scalars ? 2 : 0) + (has_vectors ? 1 : 0)) * M; }    // made of invariants
  int width() const { return n_linear() + (has_vectors ? 3 : 0) * M; }
};

// SiLU of n numbers, and its derivative.
template <class Real> struct Activation {
  const Real *x = nullptr;
  Real *value = nullptr, *slope = nullptr;
};

template <class Real> struct FreeKernels {
  template <class Task> using Function = void (*)(const Task &, int64_t begin, int64_t end);

  int lanes;
  Function<RowProduct<Real>> product;    // begin … end − 1 are groups
  Function<ProductChannels<Real>> channels, channels_gradient;
  Function<TensorSum<Real>> tensor_sum, tensor_sum_gradient;
  Function<Gates<Real>> gates, gates_gradient;
  Function<Activation<Real>> activation;
};

template <class Real> const FreeKernels<Real> &free_kernels()
{
  return *kernels<Real>().free;
}

}    // namespace pair_cace
