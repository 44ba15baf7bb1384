#include "committee_deviation.h"

#include "comm.h"
#include "lammps.h"
#include "update.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <stdexcept>

#include <unistd.h>

namespace pair_cace {

namespace {

constexpr int n_sums = 10;    // of a model: the energy and nine components of the virial

// sqrt(<(x^k − <x>)²>) of n values that are `stride` apart.
double deviation(const double *x, int n, int stride)
{
  double mean = 0.0, squares = 0.0;
  for (int k = 0; k < n; ++k) mean += x[k * stride] / n;
  for (int k = 0; k < n; ++k) squares += (x[k * stride] - mean) * (x[k * stride] - mean) / n;
  return std::sqrt(squares);
}

}    // namespace

void CommitteeDeviation::start(int n_models, int n_local, int n_ghosts)
{
  n_models_ = n_models;
  n_local_ = n_local;
  forces_of_atoms_.assign(int64_t(n_local + n_ghosts) * n_models * 3, 0.0);
  sums_.assign(n_models * n_sums, 0.0);
}

void CommitteeDeviation::add(int k, const Rows &rows, const double *forces, double energy,
                             const std::array<double, 9> &virial)
{
  for (std::size_t row = 0; row < rows.atoms.size(); ++row)
    for (int d = 0; d < 3; ++d)
      forces_of_atoms_[(int64_t(rows.atoms[row]) * n_models_ + k) * 3 + d] = forces[3 * row + d];
  double *sums = &sums_[k * n_sums];
  sums[0] = energy;
  std::copy(virial.begin(), virial.end(), sums + 1);
}

void CommitteeDeviation::finish(LAMMPS_NS::LAMMPS *lmp, RankExchange &exchange, const Rows &rows, double energy_unit)
{
  step_ = lmp->update->ntimestep;
  exchange.ghosts_to_owners(forces_of_atoms_.data(), 3 * n_models_);
  of_atoms_.assign(std::max(n_local_, 1), 0.0);
  double largest = 0.0, smallest = std::numeric_limits<double>::max();
  double sum_and_count[2] = {0.0, static_cast<double>(rows.n_local)};
  for (int row = 0; row < rows.n_local; ++row) {
    const int i = rows.atoms[row];
    double squares = 0.0;
    for (int d = 0; d < 3; ++d) {
      const double one = deviation(&forces_of_atoms_[int64_t(i) * n_models_ * 3 + d], n_models_, 3);
      squares += one * one;
    }
    of_atoms_[i] = energy_unit * std::sqrt(squares);
    largest = std::max(largest, of_atoms_[i]);
    smallest = std::min(smallest, of_atoms_[i]);
    sum_and_count[0] += of_atoms_[i];
  }

  MPI_Allreduce(MPI_IN_PLACE, sum_and_count, 2, MPI_DOUBLE, MPI_SUM, lmp->world);
  MPI_Allreduce(MPI_IN_PLACE, sums_.data(), n_models_ * n_sums, MPI_DOUBLE, MPI_SUM, lmp->world);
  MPI_Allreduce(&largest, &forces_.largest, 1, MPI_DOUBLE, MPI_MAX, lmp->world);
  MPI_Allreduce(&smallest, &forces_.smallest, 1, MPI_DOUBLE, MPI_MIN, lmp->world);
  const double n_atoms = sum_and_count[1];
  if (n_atoms == 0) return;
  forces_.mean = sum_and_count[0] / n_atoms;

  const double unit = energy_unit / n_atoms;
  energy_ = unit * deviation(&sums_[0], n_models_, n_sums);
  virial_ = {0.0, std::numeric_limits<double>::max(), 0.0};
  for (int ab = 1; ab < n_sums; ++ab) {
    const double one = unit * deviation(&sums_[ab], n_models_, n_sums);
    virial_.largest = std::max(virial_.largest, one);
    virial_.smallest = std::min(virial_.smallest, one);
    virial_.mean += one * one / 9.0;
  }
  virial_.mean = std::sqrt(virial_.mean);
}

void CommitteeDeviation::write(const std::string &path, int64_t step)
{
  if (path != path_ || !file_) open(path, step);
  // All lines are of one length: one of the same step, a trial of a line search say, is replaced.
  if (step == last_step_)
    std::fseek(file_.get(), last_line_, SEEK_SET);
  else if (step < last_step_)
    write_head();
  last_step_ = step;
  last_line_ = std::ftell(file_.get());
  std::fprintf(file_.get(), "%12lld %18.6e %18.6e %18.6e %18.6e %18.6e %18.6e %18.6e\n", static_cast<long long>(step),
               virial_.largest, virial_.smallest, virial_.mean, forces_.largest, forces_.smallest, forces_.mean,
               energy_);
  std::fflush(file_.get());
}

// A run that goes on, from a restart file say, adds to what was written.
void CommitteeDeviation::open(const std::string &path, int64_t step)
{
  last_step_ = -1;
  file_.reset(step > 0 ? std::fopen(path.c_str(), "r+") : nullptr);
  const bool is_new = !file_;
  if (is_new) file_.reset(std::fopen(path.c_str(), "w"));
  if (!file_)
    throw std::runtime_error("cannot write the file of deviations " + path + "; check the folder and its permissions");
  path_ = path;
  if (is_new) return write_head();
  long end = 0;    // of the last whole line
  for (char line[512]; std::fgets(line, sizeof(line), file_.get()) && std::strchr(line, '\n');) {
    const long begin = end;
    end = std::ftell(file_.get());
    char *rest = line;
    const int64_t found = std::strtoll(line, &rest, 10);
    if (rest == line) continue;    // the head
    last_step_ = found;
    last_line_ = begin;
  }
  if (ftruncate(fileno(file_.get()), end) != 0) end = std::ftell(file_.get());    // of a line that was cut short
  std::fseek(file_.get(), end, SEEK_SET);
  if (end == 0) write_head();
}

void CommitteeDeviation::write_head()
{
  std::fprintf(file_.get(), "#%11s %18s %18s %18s %18s %18s %18s %18s\n", "step", "max_devi_v", "min_devi_v",
               "avg_devi_v", "max_devi_f", "min_devi_f", "avg_devi_f", "devi_e");
}

}    // namespace pair_cace
