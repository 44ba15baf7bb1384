// A step of a model with neighbour lists of our own, all of it where the model is: positions go there, forces come
// back. Lists are built when LAMMPS would build its own, with its skin. Includes no torch header.
#pragma once

#include "edge_list.h"
#include "exported_model.h"
#include "ops/neighbors/contacts.h"

#include <array>
#include <memory>
#include <vector>

namespace pair_cace {

// What a step starts from. A point is an atom or the image of one; the first ones are the receivers, in order of their
// rows. Rows as in edge_list.h.
struct Points {
  int64_t n_receivers = 0;
  std::vector<double> positions;        // (points, 3) Å
  std::vector<int64_t> row_of_point;    // (points,)
  std::vector<int64_t> species;         // (rows,)

  int64_t size() const { return static_cast<int64_t>(row_of_point.size()); }
  int64_t n_rows() const { return static_cast<int64_t>(species.size()); }
};

// Thrown: two points at one place.
struct CoincidentPoints {
  int64_t receiver, point;
};

class OwnNeighbors {
 public:
  explicit OwnNeighbors(const ExportedModel &model);    // which must outlive this
  ~OwnNeighbors();

  // Energies (n_receivers or more,) in eV, forces (rows or more, 3) in eV/Å, and, unless null, the virial in eV, row by
  // row. The list is built anew if `is_new`, with the skin in Å; `exchange` as in exported_model.h. Contacts, unless null, are those of this step, if
  // somebody watches.
  // Throws CoincidentPoints, and std::runtime_error if memory is short or something is not finite.
  void evaluate(const Points &points, bool is_new, double skin, GhostExchange *exchange, std::vector<double> &energies,
                std::vector<double> &forces, std::array<double, 9> *virial, std::vector<Contact> *contacts = nullptr);

  // From the next evaluation on, contacts are counted. Without kinds nobody watches.
  void watch(const ContactLimits &limits);
  // Of the last evaluation with a new list, while somebody watches: (n_receivers or more,) atoms/Å³.
  const std::vector<double> &densities() const;

  // The edges of the last evaluation and their gradient, for what is wanted rarely.
  void fetch(EdgeList &edges, Evaluation &result) const;

  // The edges alone, without an evaluation or a skin. Throws CoincidentPoints.
  void find_edges(const Points &points, EdgeList &edges);

 private:
  struct Kept;
  std::unique_ptr<Kept> kept_;
};

}    // namespace pair_cace
