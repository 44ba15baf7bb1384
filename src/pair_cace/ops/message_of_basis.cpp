// Messages M and Ar: A of an atom itself, and of its neighbours at a distance r (kernels.h, RadialMessage; Eq. 11, 12).
#include "potential.h"

#include <ATen/ops/mul.h>

namespace pair_cace {

namespace {

class MessageOfBasis final : public Message {
 public:
  MessageOfBasis(Tensor amplitude, Tensor decay, Tensor memory)
      : amplitude_(std::move(amplitude)), decay_(std::move(decay)), memory_(std::move(memory))
  {
  }

  void check(const ModelWeights &model) const override
  {
    check_radial("amplitudes", amplitude_, model);
    check_radial("decays", decay_, model);
    check_radial("memories", memory_, model);
  }

  bool travels() const override { return amplitude_.defined(); }

  void send(const BetweenLayers &layers) const override
  {
    of_type(layers, [&](auto real) {
      using Real = decltype(real);
      if (layers.exchange && travels()) to_ghosts(*layers.exchange, layers.basis, layers.atoms.n_atoms());
      RadialMessage<Real> task = task_of<Real>(layers);
      task.groups = layers.by_receiver->grouping();
      task.other = layers.atoms.senders.const_data_ptr<int64_t>();
      task.message = data_of<Real>(layers.message);
      run<Real>(kernels_for<Real>(layers.basis).message, task, layers.atoms.n_atoms(), layers);
    });
  }

  void bring_back(const BetweenLayers &layers) const override
  {
    of_type(layers, [&](auto real) {
      using Real = decltype(real);
      const int64_t n_atoms = layers.atoms.n_atoms();
      RadialMessage<Real> task = task_of<Real>(layers);
      if (travels()) {
        task.groups = layers.by_sender->grouping();
        task.other = layers.atoms.receivers.const_data_ptr<int64_t>();
      }
      task.grad_message = data_of<Real>(layers.grad_message);
      task.grad_vectors = data_of<Real>(layers.grad_vectors);
      task.adds_to_vectors = true;
      task.grad_basis = data_of<Real>(layers.grad_basis);
      run<Real>(kernels_for<Real>(layers.basis).message_gradient, task, travels() ? layers.atoms.n_senders() : n_atoms,
                layers);
      if (layers.exchange && travels()) from_ghosts(*layers.exchange, layers.grad_basis, n_atoms);
    });
  }

 private:
  // (n_radial, L+1, C)
  static void check_radial(const char *name, const Tensor &weights, const ModelWeights &model)
  {
    if (!weights.defined()) return;
    check_same_type("evaluate", {model.mixing, weights});
    const int64_t expected[3] = {model.n_radial(), model.basis.l_max + 1, model.n_channels()};
    TORCH_CHECK(weights.sizes() == at::IntArrayRef(expected), "evaluate: expected ", name, " of shape ",
                at::IntArrayRef(expected), ", got ", weights.sizes());
  }

  template <class Use> static void of_type(const BetweenLayers &layers, const Use &use)
  {
    TORCH_INTERNAL_ASSERT(!layers.adds);
    if (layers.basis.scalar_type() == at::kFloat) return use(float());
    use(double());
  }

  template <class Real> RadialMessage<Real> task_of(const BetweenLayers &layers) const
  {
    const ModelWeights &model = layers.model;
    RadialMessage<Real> task;
    task.l_max = model.basis.l_max;
    task.n_radial = static_cast<int>(model.n_radial());
    task.n_channels = static_cast<int>(model.n_channels());
    task.cutoff = model.basis.cutoff;
    task.exponent = model.basis.exponent;
    task.vectors.value = data_of<Real>(layers.atoms.vectors);
    task.basis.value = data_of<Real>(layers.basis);
    task.amplitude.value = data_of<Real>(amplitude_);
    task.decay.value = data_of<Real>(decay_);
    task.memory = data_of<Real>(memory_);
    task.n_receivers = layers.atoms.n_atoms();
    return task;
  }

  template <class Real, class Kernel>
  static void run(Kernel kernel, const RadialMessage<Real> &task, int64_t n, const BetweenLayers &layers)
  {
    const int64_t rows = layers.atoms.senders.size(0) + layers.atoms.n_atoms();
    Shares(n, 1, rows * layers.basis.size(1), layers.basis).run([&](int64_t begin, int64_t end, int64_t) {
      kernel(task, begin, end);
    });
  }

  Tensor amplitude_, decay_, memory_;    // (n_radial, L+1, C); the amplitude includes the norm
};

}    // namespace

std::shared_ptr<const Message> message_of_basis(const NamedWeights &weights, const std::string &layer, double norm)
{
  Tensor amplitude, decay, memory;
  if (weights.has(layer + ".ar.amplitude")) {
    amplitude = at::mul(weights.tensor(layer + ".ar.amplitude"), norm);
    decay = weights.tensor(layer + ".ar.decay");
  }
  if (weights.has(layer + ".memory.weight")) memory = weights.tensor(layer + ".memory.weight");
  if (!amplitude.defined() && !memory.defined()) return nullptr;
  return std::make_shared<MessageOfBasis>(amplitude, decay, memory);
}

}    // namespace pair_cace
