#include "message.h"

#include <ATen/ops/empty_like.h>

namespace pair_cace {

// Messages of one kind; null if a layer has none. That of Ar and M comes first: it sets what others add to.
std::shared_ptr<const Message> message_of_basis(const NamedWeights &weights, const std::string &layer, double norm);

Messages messages_of(const NamedWeights &weights, const std::string &layer, double norm)
{
  Messages found;
  for (const auto &read : {message_of_basis})
    if (auto message = read(weights, layer, norm)) found.push_back(std::move(message));
  return found;
}

namespace {

// Memory of the host for a table of a GPU, which the GPU reads and writes by itself; torch keeps it for the next.
Tensor staging(const Tensor &table)
{
  return at::empty_like(table, table.options().device(at::kCPU).pinned_memory(true));
}

GhostTable rows_of(const Tensor &table)
{
  if (table.scalar_type() == at::kFloat) return data_of<float>(table);
  return data_of<double>(table);
}

int64_t width_of(const Tensor &table)
{
  return c10::multiply_integers(table.sizes().slice(1));
}

}    // namespace

void to_ghosts(GhostExchange &exchange, const Tensor &table, int64_t n_atoms)
{
  if (!table.is_cuda()) return exchange.to_ghosts(rows_of(table), width_of(table));
  const Tensor on_host = staging(table);
  on_host.slice(0, 0, n_atoms).copy_(table.slice(0, 0, n_atoms));
  exchange.to_ghosts(rows_of(on_host), width_of(table));
  table.slice(0, n_atoms).copy_(on_host.slice(0, n_atoms), /*non_blocking=*/true);
}

void from_ghosts(GhostExchange &exchange, const Tensor &table, int64_t n_atoms)
{
  if (!table.is_cuda()) return exchange.from_ghosts(rows_of(table), width_of(table));
  const Tensor on_host = staging(table);
  on_host.slice(0, 0, n_atoms).zero_();
  on_host.slice(0, n_atoms).copy_(table.slice(0, n_atoms));
  exchange.from_ghosts(rows_of(on_host), width_of(table));
  const Tensor sums = on_host.slice(0, 0, n_atoms).to(table.device(), /*non_blocking=*/true);
  table.slice(0, 0, n_atoms).add_(sums);
}

}    // namespace pair_cace
