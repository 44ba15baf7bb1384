#include "ghost_exchange.h"

#include <map>
#include <mutex>
#include <stdexcept>
#include <string>

namespace pair_cace {

namespace {

std::mutex mutex;                             // of these two
std::map<int64_t, GhostExchange *> living;    // by handle
int64_t last_handle = 0;

}    // namespace

GhostExchange::GhostExchange()
{
  const std::lock_guard lock(mutex);
  handle_ = ++last_handle;
  living[handle_] = this;
}

GhostExchange::~GhostExchange()
{
  const std::lock_guard lock(mutex);
  living.erase(handle_);
}

GhostExchange &GhostExchange::with(int64_t handle)
{
  const std::lock_guard lock(mutex);
  const auto found = living.find(handle);
  if (found == living.end())
    throw std::runtime_error("message passing: expected an exchange of ghosts that is in use, got number " +
                             std::to_string(handle));
  return *found->second;
}

}    // namespace pair_cace
