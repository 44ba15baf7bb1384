// CUDA's words on a CPU: blocks run one after the other, and the threads of a block take turns, each until it waits at
// a barrier or ends. What is tested so is the logic of kernels, not their races: but a barrier that not all
// threads of a block reach is found, and shared memory is filled with NaN before every block.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <stdexcept>
#include <vector>

#define __global__
#define __device__
#define __launch_bounds__(n_threads)

namespace pair_cace {

struct Place {
  unsigned x = 0;
};

// The block that is running on this thread of the host.
class HostBlock {
 public:
  static HostBlock &current()
  {
    thread_local HostBlock block;
    return block;
  }

  Place thread, block, size;
  char *shared() { return reinterpret_cast<char *>(shared_.data()); }

  void run(unsigned number, int n_threads, int64_t shared_bytes, const std::function<void()> &kernel)
  {
    block.x = number;
    size.x = n_threads;
    shared_.assign(shared_bytes / sizeof(double) + 2, std::nan(""));
    kernel_ = &kernel;
    failure_ = nullptr;
    fibers_.resize(std::max<std::size_t>(fibers_.size(), n_threads));
    for (int k = 0; k < n_threads; ++k) start(fibers_[k]);
    for (int n_running = n_threads; n_running > 0;) {
      int n_waiting = 0;
      for (int k = 0; k < n_threads; ++k) {
        if (fibers_[k].ended) continue;
        thread.x = k;
        swapcontext(&main_, &fibers_[k].context);
        if (failure_) std::rethrow_exception(failure_);
        n_waiting += !fibers_[k].ended;
      }
      if (n_waiting != 0 && n_waiting != n_running)
        throw std::runtime_error("a barrier that some threads of the block do not reach");
      n_running = n_waiting;
    }
  }

  void wait() { swapcontext(&fibers_[thread.x].context, &main_); }

 private:
  struct Fiber {
    ucontext_t context;
    std::vector<char> stack;
    bool ended = false;
  };

  static void entry()
  {
    HostBlock &block = current();
    try {
      (*block.kernel_)();
    } catch (...) {
      block.failure_ = std::current_exception();
    }
    block.fibers_[block.thread.x].ended = true;
  }

  void start(Fiber &fiber)
  {
    fiber.stack.resize(128 * 1024);
    fiber.ended = false;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = fiber.stack.size();
    fiber.context.uc_link = &main_;
    makecontext(&fiber.context, entry, 0);
  }

  ucontext_t main_;
  std::vector<Fiber> fibers_;
  std::vector<double> shared_;
  const std::function<void()> *kernel_ = nullptr;
  std::exception_ptr failure_;
};

template <class Value> Value *shared_memory()
{
  return reinterpret_cast<Value *>(HostBlock::current().shared());
}

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), int64_t n_blocks, int n_threads, int64_t shared_bytes,
            const Arguments &...arguments)
{
  const std::function<void()> call = [&] { kernel(arguments...); };
  for (int64_t k = 0; k < n_blocks; ++k)
    HostBlock::current().run(static_cast<unsigned>(k), n_threads, shared_bytes, call);
}

inline int current_device()
{
  return 0;
}
template <class Value> const Value *copy_to_device(const Value *values, int64_t)
{
  return values;
}

}    // namespace pair_cace

#define threadIdx (::pair_cace::HostBlock::current().thread)
#define blockIdx (::pair_cace::HostBlock::current().block)
#define blockDim (::pair_cace::HostBlock::current().size)

inline void __syncthreads()
{
  ::pair_cace::HostBlock::current().wait();
}

template <class Number> Number atomicAdd(Number *to, Number value)
{
  const Number before = *to;
  *to = before + value;
  return before;
}

template <class Number> Number atomicMin(Number *to, Number value)
{
  const Number before = *to;
  *to = std::min(before, value);
  return before;
}

namespace pair_cace {

// Without warps. That all threads call it is checked as for a barrier.
template <class Real> void add_of_warp(Real *sum, Real value)
{
  __syncthreads();
  atomicAdd(sum, value);
}

template <int n, class Real> void add_all_of_warp(Real *sums, const Real (&values)[n], int size)
{
  __syncthreads();
  for (int k = 0; k < size; ++k) atomicAdd(sums + k, values[k]);
}

}    // namespace pair_cace
