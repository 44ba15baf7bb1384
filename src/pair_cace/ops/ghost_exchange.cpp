#include "ghost_exchange.h"

#include <map>
#include <mutex>
#include <stdexcept>
#include <string>

namespace pair_cace {

namespace {

struct Living {
  std::mutex mutex;
  std::map<int64_t, GhostExchange *> by_handle;
  int64_t last = 0;
};

Living &living()
{
  static Living all;
  return all;
}

}    // namespace

GhostExchange::GhostExchange()
{
  const std::lock_guard lock(living().mutex);
  handle_ = ++living().last;
  living().by_handle[handle_] = this;
}

GhostExchange::~GhostExchange()
{
  const std::lock_guard lock(living().mutex);
  living().by_handle.erase(handle_);
}

GhostExchange &GhostExchange::with(int64_t handle)
{
  const std::lock_guard lock(living().mutex);
  const auto found = living().by_handle.find(handle);
  if (found == living().by_handle.end())
    throw std::runtime_error("message passing: expected an exchange of ghosts that is in use, got number " +
                             std::to_string(handle));
  return *found->second;
}

}    // namespace pair_cace
