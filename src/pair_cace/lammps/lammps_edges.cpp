#include "lammps_edges.h"

#include "atom.h"
#include "neigh_list.h"

#include "ops/neighbors/neighbor_tasks.h"
#include "ops/threads.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <string>

namespace pair_cace {

using LAMMPS_NS::Atom;
using LAMMPS_NS::NeighList;

void Rows::number(const Atom &atom, const std::vector<int> &atomic_numbers, int hidden, bool with_ghosts)
{
  of_atom.assign(atom.nlocal + atom.nghost, none);
  atoms.clear();
  n_local = 0;
  for (int i = 0; i < atom.nlocal + (with_ghosts ? atom.nghost : 0); ++i) {
    if (atomic_numbers[atom.type[i]] == 0 || atom.mask[i] & hidden) continue;
    of_atom[i] = static_cast<int>(atoms.size());
    atoms.push_back(i);
    if (i < atom.nlocal) ++n_local;
  }
}

std::runtime_error two_atoms_at_one_place(const Atom &atom, int i, int j)
{
  return std::runtime_error("two atoms are at the same place (atom IDs " + std::to_string(atom.tag[i]) + " and " +
                            std::to_string(atom.tag[j]) +
                            "); remove one of them, for example with delete_atoms overlap");
}

namespace {

// Edges of the local rows begin … end − 1, written from place `at` on; returns the place behind them. What is
// beyond the cutoff is written as well, and then over: no processor could foresee a branch there.
int64_t gather_rows(int64_t begin, int64_t end, int64_t at, const NeighList &list, const Atom &atom, const Rows &rows,
                    double cutoff, EdgeList &edges, const ContactWatch &watch)
{
  const double *const *x = atom.x;
  const double cutoff_squared = cutoff * cutoff;
  int64_t *receivers = edges.receivers.data(), *senders = edges.senders.data();
  auto *vectors = edges.vectors.data();
  for (int64_t receiver = begin; receiver < end; ++receiver) {
    const int i = rows.atoms[receiver];
    const double bound = watch.bound_squared(receiver), remarkable = std::max(bound, same_place_squared);
    const int64_t n_neighbors = edges.first_of_row[receiver + 1] - edges.first_of_row[receiver];
    for (int64_t jj = 0; jj < n_neighbors; ++jj) {
      const int j = list.firstneigh[i][jj] & NEIGHMASK;
      const int sender = rows.of_atom[j];
      const double r[3] = {x[i][0] - x[j][0], x[i][1] - x[j][1], x[i][2] - x[j][2]};
      const double r_squared = r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
      const bool is_edge = !(r_squared >= cutoff_squared) & (sender != Rows::none);    // NaN must stay
      if (is_edge & (r_squared < remarkable)) {                                        // few are
        if (r_squared < same_place_squared) throw two_atoms_at_one_place(atom, i, j);
        if (r_squared < bound) watch.note(receiver, sender, r_squared, HostAtomic());
      }
      receivers[at] = receiver;
      senders[at] = sender;
      for (int k = 0; k < 3; ++k) vectors[3 * at + k] = r[k];
      at += is_edge;
    }
  }
  return at;
}

template <class Value> void move_down(std::vector<Value> &values, int64_t to, int64_t from, int64_t n, int width = 1)
{
  std::memmove(values.data() + width * to, values.data() + width * from, width * n * sizeof(Value));
}

}    // namespace

void gather_edges(const NeighList &list, const Atom &atom, const std::vector<int> &atomic_numbers, const Rows &rows,
                  double cutoff, EdgeList &edges, const ContactLimits &limits, std::vector<Contact> &contacts)
{
  edges.n_atoms = rows.n_local;
  edges.species.clear();
  for (int i : rows.atoms) edges.species.push_back(atomic_numbers[atom.type[i]]);

  // As many edges as neighbours at most. Every thread writes where its first atom would be then, and
  // the gaps are closed at the end.
  std::vector<int64_t> &first = edges.first_of_row;
  first.assign(rows.n_local + 1, 0);
  for (int ii = 0; ii < list.inum; ++ii)    // not all atoms with `neigh_modify include`
    if (const int row = rows.of_atom[list.ilist[ii]]; row != Rows::none) first[row + 1] = list.numneigh[list.ilist[ii]];
  std::partial_sum(first.begin(), first.end(), first.begin());
  make_room(edges.senders, first.back());
  make_room(edges.receivers, first.back());
  make_room(edges.vectors, 3 * first.back());
  const ContactWatch watch{edges.species.data(),          limits.kinds.data(), limits.limit_squared.data(),
                           limits.largest_squared.data(), limits.n_kinds(),    contacts.data()};
  const int n_shares = worthwhile_shares(20 * first.back());
  std::vector<int64_t> begins(n_shares), ends(n_shares);
  in_shares(rows.n_local, n_shares, [&](int64_t begin, int64_t end, int share) {
    begins[share] = first[begin];
    ends[share] = gather_rows(begin, end, first[begin], list, atom, rows, cutoff, edges, watch);
  });
  edges.n_edges = ends[0];
  for (int share = 1; share < n_shares; ++share) {
    const int64_t n = ends[share] - begins[share];
    move_down(edges.senders, edges.n_edges, begins[share], n);
    move_down(edges.receivers, edges.n_edges, begins[share], n);
    move_down(edges.vectors, edges.n_edges, begins[share], n, 3);
    edges.n_edges += n;
  }
}

void find_densities(const EdgeList &edges, double cutoff, std::vector<double> &densities)
{
  densities.assign(edges.n_atoms, 0.0);
  const double cutoff_squared = cutoff * cutoff;
  const auto next_row = [&](int64_t e) {
    while (0 < e && e < edges.n_edges && edges.receivers[e] == edges.receivers[e - 1]) ++e;
    return e;
  };
  in_shares(edges.n_edges, worthwhile_shares(8 * edges.n_edges), [&](int64_t begin, int64_t end, int) {
    const int64_t last = next_row(end);
    for (int64_t e = next_row(begin); e < last; ++e) {
      const double *r = &edges.vectors[3 * e];
      densities[edges.receivers[e]] += density_weight(r[0] * r[0] + r[1] * r[1] + r[2] * r[2], cutoff_squared);
    }
  });
  for (double &density : densities) density = density_of(density, cutoff);
}

}    // namespace pair_cace
