#include "training_extent.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

namespace pair_cace {

double DensityRanges::factor_outside(double density) const
{
  double smallest = std::numeric_limits<double>::infinity();
  for (const auto &[low, high] : ranges_)
    smallest = std::min(smallest, density < low ? low / density : density > high ? density / high : 1.0);
  return ranges_.empty() ? 1.0 : smallest;
}

std::string DensityRanges::text() const
{
  std::string text;
  for (const auto &[low, high] : ranges_) {
    char words[80];
    std::snprintf(words, sizeof words, low == high ? "%.4f" : "%.4f to %.4f", low, high);
    text += (text.empty() ? "" : ", ") + std::string(words);
  }
  return text;
}

namespace {

double positive(const std::string &word, const std::string &line)
{
  char *end = nullptr;
  const double value = std::strtod(word.c_str(), &end);
  if (word.empty() || *end != '\0' || !(value > 0.0))
    throw std::runtime_error("expected positive numbers in 'training_extent' of the model, got '" + line +
                             "'; export the model again");
  return value;
}

DensityRanges ranges_of(std::istringstream &words, const std::string &line)
{
  std::vector<std::pair<double, double>> ranges;
  for (std::string low, high; words >> low;) {
    words >> high;
    ranges.emplace_back(positive(low, line), positive(high, line));
    high.clear();
  }
  return DensityRanges(ranges);
}

}    // namespace

TrainingExtent read_training_extent(const std::string &text)
{
  TrainingExtent extent;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string what, a, b, distance;
    words >> what >> a;
    if (what == "closest") {
      words >> b >> distance;
      extent.closest[{a, b}] = extent.closest[{b, a}] =
          distance == "none" ? TrainingExtent::none_within_cutoff : positive(distance, line);
    } else if (what == "density") {
      extent.densities[a] = ranges_of(words, line);
    } else if (what == "mean_density") {
      extent.mean_densities[a] = ranges_of(words, line);
    }
  }
  return extent;
}

TrainingExtent common_extent(const std::vector<const TrainingExtent *> &extents)
{
  TrainingExtent common;
  if (extents.empty()) return common;
  common.densities = extents[0]->densities;
  common.mean_densities = extents[0]->mean_densities;
  for (const TrainingExtent *extent : extents)
    for (const auto &[pair, distance] : extent->closest) {
      double &closest = common.closest[pair];    // 0 if it is new
      closest = std::max(closest, distance);
    }
  return common;
}

}    // namespace pair_cace
