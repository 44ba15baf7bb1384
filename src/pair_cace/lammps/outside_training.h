// Says when a run leaves what its model was trained on: atoms closer than in training, and densities around atoms that
// training did not have. Distances are looked at in every step, densities when LAMMPS builds its lists. MPI ranks tell
// each other of distances in every step if the run is to stop, otherwise in every tenth, when lists are built, and when
// energies are asked for.
#pragma once

#include "exported/edge_list.h"
#include "ops/neighbors/contacts.h"
#include "exported/training_extent.h"

#include <array>
#include <limits>
#include <string>
#include <vector>

namespace LAMMPS_NS {
class LAMMPS;
}

namespace pair_cace {

enum class OutsideChoice { stop, warn, ignore };

class OutsideTraining {
 public:
  explicit OutsideTraining(LAMMPS_NS::LAMMPS *lmp) : lmp_(lmp) {}

  // At the beginning of a run: what the models that drive it know in common, atomic numbers by type (0: none), and the
  // cutoff of the edges that will be looked at, Å.
  void start_run(OutsideChoice choice, const TrainingExtent &extent, const std::vector<int> &atomic_numbers,
                 double cutoff);

  bool is_watching() const { return limits_.n_kinds() > 0; }
  const ContactLimits &limits() const { return limits_; }

  // Where the contacts of a step are counted, one for each pair of kinds; start_step() empties it.
  std::vector<Contact> &contacts() { return contacts_; }
  void start_step() { contacts_.assign(contacts_.size(), {}); }

  // All ranks call it, after the edges of a step have been looked at, with densities around local rows, atoms/Å³, and
  // the atomic numbers of these, if they are looked at. error->all where a run is to stop.
  void finish_step(bool asks_for_energies, const std::vector<double> &densities, const std::vector<int64_t> &species);

  // For the text of an error, what this rank has seen and nobody has heard of: "; before this, W-W at ...", or nothing.
  std::string untold();

  // At the end of a run, on all ranks: how often and how close.
  void summarize() const;

 private:
  static constexpr int64_t never = std::numeric_limits<int64_t>::max();

  // Of two elements, or of this rank alone until told() has asked the others.
  struct Pair {
    int64_t n_edges = 0;                                         // each contact has two
    double closest = std::numeric_limits<double>::infinity();    // Å, and when
    int64_t step_of_closest = never;
    int64_t first_step = never;    // and how close atoms were then
    double first_closest = std::numeric_limits<double>::infinity();
    bool is_told = false;
  };

  // The atoms of an element, and what they have of both kinds of ranges.
  struct Element {
    std::string symbol;
    std::array<DensityRanges, 2> ranges;    // of atoms, of their mean
    std::array<bool, 2> is_told{};
  };

  LAMMPS_NS::LAMMPS *lmp_;
  OutsideChoice choice_ = OutsideChoice::warn;
  double cutoff_ = 0.0;
  std::vector<Element> elements_;    // by kind
  std::vector<double> closest_;      // (K + 1, K + 1) Å, in training
  ContactLimits limits_;
  std::vector<Contact> contacts_;
  std::vector<Pair> pairs_;    // (K + 1, K + 1), of which a ≤ b are in use

  void record_contacts();
  void tell_contacts();
  void tell_densities(const std::vector<double> &densities, const std::vector<int64_t> &species);
  std::string text_of(std::size_t pair, double distance, int64_t step) const;
  std::string name_of(std::size_t pair) const;
  void tell(const std::vector<std::string> &texts);
};

}    // namespace pair_cace
