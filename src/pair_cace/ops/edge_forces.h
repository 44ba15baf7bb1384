// This file owns the sign convention of edges, forces and virial.
//
//   edge     e = (j → i), from sender j to receiver i
//   vector   r_e = r_i − r_j (+ lattice shift)                    Å
//   gradient g_e = ∂E/∂r_e                                        eV/Å
//   force    F_k = −Σ_{e→k} g_e + Σ_{e from k} g_e                 eV/Å
//   virial   W   = −Σ_e r_e ⊗ g_e, W_ab = −Σ_e r_e,a g_e,b        eV
//   stress   σ   = −W / V, positive under tension as in ASE       eV/Å³
//
// Forces are minus the transpose of the map from positions to edge vectors, so the two functions
// below are each other's derivative (up to that sign), and need no other.
#pragma once

#include <cstdint>

namespace pair_cace {

// forces (n_atoms, 3) += forces of the edge gradients (n_edges, 3); plain loops, no aliasing.
template <class Real>
void add_edge_forces(const Real *gradient, const int64_t *senders, const int64_t *receivers, int64_t n_edges,
                     Real *forces)
{
  for (int64_t e = 0; e < n_edges; ++e) {
    for (int k = 0; k < 3; ++k) {
      forces[3 * receivers[e] + k] -= gradient[3 * e + k];
      forces[3 * senders[e] + k] += gradient[3 * e + k];
    }
  }
}

// virial (3, 3) += W of the edges, vectors and gradient (n_edges, 3).
template <class Real> void add_edge_virial(const Real *vectors, const Real *gradient, int64_t n_edges, Real *virial)
{
  for (int64_t e = 0; e < n_edges; ++e)
    for (int a = 0; a < 3; ++a)
      for (int b = 0; b < 3; ++b) virial[3 * a + b] -= vectors[3 * e + a] * gradient[3 * e + b];
}

// differences (n_edges, 3) = values of the receivers − values of the senders, values (n_atoms, 3).
template <class Real>
void edge_differences(const Real *values, const int64_t *senders, const int64_t *receivers, int64_t n_edges,
                      Real *differences)
{
  for (int64_t e = 0; e < n_edges; ++e)
    for (int k = 0; k < 3; ++k) differences[3 * e + k] = values[3 * receivers[e] + k] - values[3 * senders[e] + k];
}

}    // namespace pair_cace
