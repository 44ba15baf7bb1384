#include "rank_exchange.h"

#include "comm.h"
#include "lammps.h"
#include "pair.h"

#include <cstring>
#include <stdexcept>
#include <string>

namespace pair_cace {

namespace {

template <class Real> void add_row(char *row, const char *values, int64_t row_bytes)
{
  auto *to = reinterpret_cast<Real *>(row);
  const auto *from = reinterpret_cast<const Real *>(values);
  for (int64_t k = 0; k < row_bytes / static_cast<int64_t>(sizeof(Real)); ++k) to[k] += from[k];
}

}    // namespace

void RankExchange::use_rows(const std::vector<int> &row_of_atom, int64_t max_width)
{
  row_of_atom_ = &row_of_atom;
  max_width_ = max_width;
}

template <class Value> void RankExchange::open(Value *table, int64_t width, bool by_atom)
{
  if (width > max_width_)
    throw std::runtime_error("expected at most " + std::to_string(max_width_) +
                             " values per ghost atom, as the model file says, got " + std::to_string(width) +
                             "; export the model again");
  table_ = reinterpret_cast<char *>(table);
  row_bytes_ = width * static_cast<int64_t>(sizeof(Value));
  stride_ = static_cast<int>((row_bytes_ + sizeof(double) - 1) / sizeof(double));
  by_atom_ = by_atom;
  add_ = add_row<Value>;
}

void RankExchange::owners_to_ghosts(std::vector<int> &value_of_atom)
{
  open(value_of_atom.data(), 1, true);
  lmp_->comm->forward_comm(pair_, stride_);
}

void RankExchange::ghosts_to_owners(double *table_of_atoms, int64_t width)
{
  open(table_of_atoms, width, true);
  lmp_->comm->reverse_comm(pair_, stride_);
}

void RankExchange::to_ghosts(GhostTable table, int64_t width)
{
  const double start = MPI_Wtime();
  std::visit([&](auto *rows) { open(rows, width, false); }, table);
  lmp_->comm->forward_comm(pair_, stride_);
  seconds_ += MPI_Wtime() - start;
}

void RankExchange::from_ghosts(GhostTable table, int64_t width)
{
  const double start = MPI_Wtime();
  std::visit([&](auto *rows) { open(rows, width, false); }, table);
  lmp_->comm->reverse_comm(pair_, stride_);
  seconds_ += MPI_Wtime() - start;
}

char *RankExchange::row_of(int atom) const
{
  const int row = by_atom_ ? atom : (*row_of_atom_)[atom];
  return row < 0 ? nullptr : table_ + row * row_bytes_;
}

int RankExchange::pack_forward(int n, const int *list, double *buffer) const
{
  for (int k = 0; k < n; ++k)
    if (const char *row = row_of(list[k])) std::memcpy(buffer + k * stride_, row, row_bytes_);
  return n * stride_;
}

void RankExchange::unpack_forward(int n, int first, const double *buffer)
{
  for (int k = 0; k < n; ++k)
    if (char *row = row_of(first + k)) std::memcpy(row, buffer + k * stride_, row_bytes_);
}

int RankExchange::pack_reverse(int n, int first, double *buffer) const
{
  for (int k = 0; k < n; ++k)
    if (const char *row = row_of(first + k)) std::memcpy(buffer + k * stride_, row, row_bytes_);
  return n * stride_;
}

void RankExchange::unpack_reverse(int n, const int *list, const double *buffer)
{
  for (int k = 0; k < n; ++k)
    if (char *row = row_of(list[k])) add_(row, reinterpret_cast<const char *>(buffer + k * stride_), row_bytes_);
}

}    // namespace pair_cace
