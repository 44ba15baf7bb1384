// What an exported model says of the data that it was trained on.
#pragma once

#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace pair_cace {

// Intervals of densities, atoms/Å³, ascending: atoms of isolated molecules and of crystals leave room between them.
class DensityRanges {
 public:
  explicit DensityRanges(std::vector<std::pair<double, double>> ranges = {}) : ranges_(std::move(ranges)) {}

  // How many times `density` is above the end or below the beginning of the nearest interval; 1 within one, and where
  // there are none.
  double factor_outside(double density) const;

  std::string text() const;    // "0.0383 to 0.0695"

 private:
  std::vector<std::pair<double, double>> ranges_;
};

struct TrainingExtent {
  static constexpr double none_within_cutoff = std::numeric_limits<double>::infinity();

  // Å, by symbols, both orders; pairs that are not here are not known.
  std::map<std::pair<std::string, std::string>, double> closest;
  // By symbol: around single atoms, and in the mean over the atoms of this element in a structure; contacts.h.
  std::map<std::string, DensityRanges> densities, mean_densities;

  bool is_known() const { return !closest.empty(); }
};

// From lines "closest W W 2.1", "closest Re W none", "density W 0.0383 0.0695" with the two ends of all intervals, and
// "mean_density W 0.0496 0.0689". Other lines are left out. Throws std::runtime_error for what makes no sense.
TrainingExtent read_training_extent(const std::string &text);

// What all of these models know: of every pair the largest of the closest distances, densities of the first. Models
// that do not know what they were trained on have no part in it.
TrainingExtent common_extent(const std::vector<const TrainingExtent *> &extents);

}    // namespace pair_cace
