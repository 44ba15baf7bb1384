#include "outside_training.h"

#include "chemical_symbols.h"

#include "comm.h"
#include "error.h"
#include "lammps.h"
#include "neighbor.h"
#include "update.h"
#include "utils.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <mpi.h>

namespace pair_cace {

using namespace LAMMPS_NS;

namespace {

// Distances differ by so little from those in training by chance, and by rounding.
constexpr double margin_of_distance = 0.98;
// How many times a density may be above those in training, or below: of an atom, of the mean.
constexpr std::array<double, 2> margin_of_density{1.1, 1.05};
constexpr std::array<const char *, 2> names_of_densities{"density", "mean density"};
constexpr int steps_between_words = 10;

}    // namespace

void OutsideTraining::start_run(OutsideChoice choice, const TrainingExtent &extent,
                                const std::vector<int> &atomic_numbers, double cutoff)
{
  choice_ = choice;
  cutoff_ = cutoff;
  elements_.clear();
  contacts_.clear();
  pairs_.clear();
  limits_ = {};
  if (choice == OutsideChoice::ignore || !extent.is_known()) return;

  std::vector<int> numbers;
  for (int z : atomic_numbers)
    if (z > 0) numbers.push_back(z);
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  const auto ranges = [](const auto &by_symbol, const std::string &symbol) {
    const auto found = by_symbol.find(symbol);
    return found == by_symbol.end() ? DensityRanges() : found->second;
  };
  const std::size_t n = numbers.size() + 1;
  limits_.kinds.assign(std::size(chemical_symbols) + 1, numbers.size());
  for (int z : numbers) {
    const std::string symbol(chemical_symbols[z - 1]);
    limits_.kinds[z] = static_cast<int64_t>(elements_.size());
    elements_.push_back({symbol, {ranges(extent.densities, symbol), ranges(extent.mean_densities, symbol)}});
  }
  limits_.limit_squared.assign(n * n, 0.0);
  limits_.largest_squared.assign(n, 0.0);
  closest_.assign(n * n, 0.0);
  contacts_.assign(n * n, {});
  pairs_.assign(n * n, {});
  for (std::size_t a = 0; a < elements_.size(); ++a)
    for (std::size_t b = 0; b < elements_.size(); ++b) {
      const auto found = extent.closest.find({elements_[a].symbol, elements_[b].symbol});
      if (found == extent.closest.end()) continue;
      closest_[a * n + b] = found->second;
      const double limit = std::min(margin_of_distance * found->second, cutoff);
      limits_.limit_squared[a * n + b] = limit * limit;
      limits_.largest_squared[a] = std::max(limits_.largest_squared[a], limit * limit);
    }
}

// ---- a step ------------------------------------------------------------------------------------

void OutsideTraining::finish_step(bool asks_for_energies, const std::vector<double> &densities,
                                  const std::vector<int64_t> &species)
{
  record_contacts();
  if (lmp_->comm->nprocs == 1 || choice_ == OutsideChoice::stop || lmp_->neighbor->ago == 0 || asks_for_energies ||
      lmp_->update->ntimestep % steps_between_words == 0)
    tell_contacts();
  if (lmp_->neighbor->ago == 0) tell_densities(densities, species);
}

void OutsideTraining::record_contacts()
{
  const std::size_t n = limits_.n_kinds();
  for (std::size_t k = 0; k < contacts_.size(); ++k) {
    const Contact &contact = contacts_[k];
    if (contact.count == 0) continue;
    Pair &pair = pairs_[std::min(k / n, k % n) * n + std::max(k / n, k % n)];
    const double distance = std::sqrt(contact.shortest_squared());
    const int64_t step = lmp_->update->ntimestep;
    pair.n_edges += contact.count;
    if (distance < pair.closest) {
      pair.closest = distance;
      pair.step_of_closest = step;
    }
    if (step < pair.first_step) pair.first_closest = distance;
    if (step <= pair.first_step) {
      pair.first_step = step;
      pair.first_closest = std::min(pair.first_closest, distance);
    }
  }
}

// Of every pair that any rank has seen for the first time.
void OutsideTraining::tell_contacts()
{
  const auto is_new = [](const Pair &pair) { return pair.n_edges > 0 && !pair.is_told; };
  int n_new = static_cast<int>(std::count_if(pairs_.begin(), pairs_.end(), is_new));
  const bool several = lmp_->comm->nprocs > 1;
  if (several) MPI_Allreduce(MPI_IN_PLACE, &n_new, 1, MPI_INT, MPI_SUM, lmp_->world);
  if (n_new == 0) return;

  std::vector<int64_t> steps;
  for (const Pair &pair : pairs_) steps.push_back(pair.first_step);
  const int n = static_cast<int>(steps.size());
  if (several) MPI_Allreduce(MPI_IN_PLACE, steps.data(), n, MPI_INT64_T, MPI_MIN, lmp_->world);
  std::vector<double> distances;
  for (int k = 0; k < n; ++k)
    distances.push_back(pairs_[k].first_step == steps[k] ? pairs_[k].first_closest
                                                         : std::numeric_limits<double>::infinity());
  if (several) MPI_Allreduce(MPI_IN_PLACE, distances.data(), n, MPI_DOUBLE, MPI_MIN, lmp_->world);
  std::vector<std::string> texts;
  for (int k = 0; k < n; ++k) {
    if (steps[k] == never || pairs_[k].is_told) continue;
    pairs_[k].is_told = true;
    texts.push_back(text_of(k, distances[k], steps[k]));
  }
  tell(texts);
}

void OutsideTraining::tell_densities(const std::vector<double> &densities, const std::vector<int64_t> &species)
{
  struct Seen {
    double sum = 0.0, count = 0.0, n_outside = 0.0;
  };
  const std::size_t n = elements_.size();
  std::vector<Seen> seen(n);
  std::vector<double> factors(n, 1.0), farthest(n, 0.0);
  for (std::size_t row = 0; row < densities.size(); ++row) {
    const int64_t kind = limits_.kinds[species[row]];
    const double factor = elements_[kind].ranges[0].factor_outside(densities[row]);
    seen[kind].sum += densities[row];
    seen[kind].count += 1.0;
    seen[kind].n_outside += factor > margin_of_density[0];
    if (factor > factors[kind]) {
      factors[kind] = factor;
      farthest[kind] = densities[row];
    }
  }
  static_assert(sizeof(Seen) == 3 * sizeof(double));
  MPI_Allreduce(MPI_IN_PLACE, seen.data(), static_cast<int>(3 * n), MPI_DOUBLE, MPI_SUM, lmp_->world);

  std::vector<std::string> texts;
  for (std::size_t kind = 0; kind < n; ++kind) {
    Element &element = elements_[kind];
    const auto add = [&](int which, double density) {
      element.is_told[which] = true;
      texts.push_back(fmt::format("{} around {} {:.4f} atoms/Å³, in training {}, step {}", names_of_densities[which],
                                  element.symbol, density, element.ranges[which].text(), lmp_->update->ntimestep));
    };
    if (seen[kind].n_outside > 0.0 && !element.is_told[0]) {
      double largest = 0.0, density = 0.0;
      MPI_Allreduce(&factors[kind], &largest, 1, MPI_DOUBLE, MPI_MAX, lmp_->world);
      const double mine = factors[kind] == largest ? farthest[kind] : 0.0;
      MPI_Allreduce(&mine, &density, 1, MPI_DOUBLE, MPI_MAX, lmp_->world);
      add(0, density);
    }
    const double mean = seen[kind].count > 0.0 ? seen[kind].sum / seen[kind].count : 0.0;
    if (mean > 0.0 && element.ranges[1].factor_outside(mean) > margin_of_density[1] && !element.is_told[1])
      add(1, mean);
  }
  tell(texts);
}

// ---- words -------------------------------------------------------------------------------------

std::string OutsideTraining::name_of(std::size_t pair) const
{
  const std::size_t n = limits_.n_kinds();
  return elements_[pair / n].symbol + "-" + elements_[pair % n].symbol;
}

std::string OutsideTraining::text_of(std::size_t pair, double distance, int64_t step) const
{
  const std::string training = closest_[pair] == TrainingExtent::none_within_cutoff
                                   ? fmt::format("no such pair within {:.2f} Å in training", cutoff_)
                                   : fmt::format("closest in training {:.2f} Å", closest_[pair]);
  return fmt::format("{} at {:.2f} Å, {}, step {}", name_of(pair), distance, training, step);
}

// Texts that all ranks have alike.
void OutsideTraining::tell(const std::vector<std::string> &texts)
{
  if (choice_ == OutsideChoice::stop && !texts.empty())
    lmp_->error->all(FLERR,
                     "Pair style cace: {}; the model was not trained for this. Look at the last frames; add "
                     "such structures to the training data, or go on with 'pair_style cace outside warn'",
                     utils::join_words(texts, "; "));
  if (lmp_->comm->me != 0) return;
  for (const std::string &text : texts) lmp_->error->warning(FLERR, "Pair style cace: {}", text);
}

std::string OutsideTraining::untold()
{
  record_contacts();
  std::string text;
  for (std::size_t k = 0; k < pairs_.size(); ++k)
    if (pairs_[k].n_edges > 0 && !pairs_[k].is_told)
      text += "; before this, " + text_of(k, pairs_[k].first_closest, pairs_[k].first_step);
  return text;
}

void OutsideTraining::summarize() const
{
  if (!is_watching()) return;
  const int n = static_cast<int>(pairs_.size());
  std::vector<int64_t> counts, steps;
  std::vector<double> closest;
  for (const Pair &pair : pairs_) {
    counts.push_back(pair.n_edges);
    closest.push_back(pair.closest);
  }
  MPI_Allreduce(MPI_IN_PLACE, counts.data(), n, MPI_INT64_T, MPI_SUM, lmp_->world);
  MPI_Allreduce(MPI_IN_PLACE, closest.data(), n, MPI_DOUBLE, MPI_MIN, lmp_->world);
  for (int k = 0; k < n; ++k) steps.push_back(pairs_[k].closest == closest[k] ? pairs_[k].step_of_closest : never);
  MPI_Allreduce(MPI_IN_PLACE, steps.data(), n, MPI_INT64_T, MPI_MIN, lmp_->world);
  if (lmp_->comm->me != 0) return;
  for (int k = 0; k < n; ++k)
    if (counts[k] > 0)
      utils::logmesg(lmp_, fmt::format("Pair style cace: {} closer than in training {} times (pairs and steps), most "
                                       "at step {}: {:.2f} Å\n",
                                       name_of(k), counts[k] / 2, steps[k], closest[k]));
}

}    // namespace pair_cace
