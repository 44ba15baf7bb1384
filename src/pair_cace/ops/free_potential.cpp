// Forwards through the layers of a model with freely mixed channels, and back, for a block of atoms at a time, whose
// tables stay in the cache. Of an atom are kept A of every layer but the last, what it says and the gradients by what it
// tells, and, with memory, one by A.
//
// Counted per atom, with P channels, N_B invariants, n hidden outputs of the readout, M channels of what is told and
// r M columns of the sums, E edges (for the template `accurate`: P = 96, N_B = 6, n = 128, M = 32, r = 2, E = 18): mixing
// N_l n_rbf K P, messages to channels about 2.4 N_l (r m) P, readout N_B P n a layer, what is told (3 N_B + 3 L) P M, all
// there and back: 1.2 million multiply-adds of 1.8; the rest see kernels/tensor_sum.h.

#include "free_weights.h"
#include "potential.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

namespace pair_cace {

namespace {

constexpr int64_t atoms_of_block = 32;

template <class Real> class FreeRecursion {
 public:
  FreeRecursion(const FreeWeights<Real> &model, const Surroundings &atoms, GhostExchange *exchange)
      : model_(model), atoms_(atoms), kernels_(free_kernels<Real>()), exchange_(exchange), n_atoms_(atoms.n_atoms()),
        L_(model.basis.l_max), n_angular_(model.basis.n_angular()), n_invariants_(model.n_invariants()),
        factor_(filled_up(atoms.receiver, 1, model.P)),
        by_receiver_(atoms.first_edge.defined() ? GroupedEdges::of_first(atoms.first_edge)
                                                : GroupedEdges("evaluate", atoms.receivers, n_atoms_)),
        shares_(n_atoms_, atoms_of_block, multiply_adds(), atoms.vectors), totals_(table(n_atoms_, model.n_totals())),
        grad_totals_(table(n_atoms_, model.n_totals())), energies_(table(n_atoms_, 1)),
        grad_vectors_(at::zeros_like(atoms.vectors))
  {
    slots_.reserve(n_atoms_);
    const int64_t *numbers = atoms.species.const_data_ptr<int64_t>();
    for (int64_t i = 0; i < n_atoms_; ++i) {
      const auto known = std::find(elements_.begin(), elements_.end(), numbers[i]);
      slots_.push_back(static_cast<int>(known - elements_.begin()));
      if (known == elements_.end()) elements_.push_back(numbers[i]);
    }
    for (int t = 0; t < model.n_layers(); ++t) {
      const FreeMessage<Real> &message = model.messages[t];
      Between between;
      between.basis = table(n_atoms_, n_features());
      if (message.memory.defined() && !grad_basis_.defined()) grad_basis_ = table(n_atoms_, n_features());
      if (message.travels()) {
        const Gates<Real> gates{model.told(t)};
        between.told = table(atoms.n_senders(), gates.n_said() * model.M);
        between.said = table(n_atoms_, gates.width());
        for (const int64_t number : elements_) between.says.push_back(&model.says(t, number));
      }
      between_.push_back(std::move(between));
    }
  }

  std::tuple<Tensor, Tensor> energies_and_gradient()
  {
    const int last = model_.n_layers();
    for (int t = 0; t < last; ++t) {
      for_blocks([&](Block &block) { forward(t, block); });
      tell_ghosts(t);
    }
    open_gradients(last);
    for_blocks([&](Block &block) {
      forward(last, block);
      read_out(block);
      back(last, block);
    });
    for (int t = last - 1; t >= 0; --t) {
      if (model_.messages[t].travels()) {
        between_[t].grad_of_told = between_[t].grad_told->total();
        between_[t].grad_told.reset();
        if (exchange_) from_ghosts(*exchange_, between_[t].grad_of_told, n_atoms_);
      }
      open_gradients(t);
      for_blocks([&](Block &block) { back(t, block); });
    }
    return {energies_.squeeze(1), grad_vectors_};
  }

  // (N, n_radial, N_B, C, T+1)
  Tensor features()
  {
    Tensors of_layers;
    for (int t = 0; t <= model_.n_layers(); ++t) {
      const Tensor invariants = table(n_atoms_, int64_t(n_invariants_) * model_.P);
      for_blocks([&](Block &block) {
        forward(t, block);
        std::copy_n(block.invariants.data(), block.n * invariants.size(1),
                    data_of<Real>(invariants) + block.first * invariants.size(1));
      });
      tell_ghosts(t);
      const Tensor channels = invariants.view({n_atoms_, n_invariants_, model_.P}).slice(2, 0, model_.n_products);
      of_layers.push_back(channels.unflatten(2, {model_.n_radial, -1}).transpose(1, 2));
    }
    return at::stack(of_layers, -1);
  }

 private:
  // Of layer t: what is kept for the way back, and what is told on the way to layer t + 1.
  struct Between {
    Tensor basis;         // A, (N, N_l, P)
    Tensor said, told;    // see Gates
    std::unique_ptr<SharedSum> grad_told;
    Tensor grad_of_told;
    std::vector<const SaysOfElement<Real> *> says;    // of elements_
  };

  using Buffer = std::vector<Real>;

  // Atoms first … first + n − 1, and tables of them that are forgotten.
  struct Block {
    int64_t first = 0, n = 0;
    int share = 0;
    Buffer raw, sums, basis, invariants, vectors, grad_invariants, grad_vectors, grad_basis, grad_said;
    std::vector<Buffer> hidden;    // of the readout: inputs, values and slopes of every activation, gradients
    std::vector<int64_t> order;    // by element: those of slot s begin at begin_of_slot[s]
    std::vector<int64_t> begin_of_slot;
  };

  static Real *room(Buffer &buffer, int64_t n)
  {
    if (std::ssize(buffer) < n) buffer.resize(n);
    return buffer.data();
  }

  Tensor table(int64_t rows, int64_t width) const { return at::empty({rows, width}, atoms_.vectors.options()); }
  int64_t n_features() const { return int64_t(n_angular_) * model_.P; }

  // Roughly, to see how many threads are worth it.
  int64_t multiply_adds() const
  {
    return atoms_.senders.size(0) * n_angular_ * model_.basis.n_rbf * model_.n_basis +
           n_atoms_ * n_angular_ * model_.n_products * 64;
  }

  template <class Body> void for_blocks(const Body &body) const
  {
    shares_.run([&](int64_t begin, int64_t end, int64_t share) {
      Block block;
      block.share = static_cast<int>(share);
      for (block.first = begin; block.first < end; block.first += atoms_of_block) {
        block.n = std::min(atoms_of_block, end - block.first);
        body(block);
      }
    });
  }

  // ---- from layer t − 1 to the invariants of layer t, and what they are for ------------------------------

  void forward(int t, Block &block) const
  {
    const bool is_last = t == model_.n_layers();
    Real *basis = basis_of(t, block);
    if (t == 0) {
      NeighborSum<Real> sum = neighbor_sum(block);
      sum.raw = room(block.raw, block.n * sum.size());
      kernels<Real>().neighbor_sum(sum, 0, block.n);
      mix(model_.mixing, block, sum.raw, sum.size() / n_angular_, 0, basis);
    } else if (model_.messages[t - 1].travels()) {
      TensorSum<Real> sum = tensor_sum(t - 1);
      sum.sums = room(block.sums, block.n * sum.size());
      kernels_.tensor_sum(sum, block.first, block.first + block.n);
      mix(model_.messages[t - 1].mixing, block, sum.sums, sum.width(), sum.first_scalar(), basis);
    } else {
      std::fill_n(basis, block.n * n_features(), Real(0));
    }
    ProductChannels<Real> channels = channels_of(t, block);
    channels.invariants = room(block.invariants, block.n * n_invariants_ * model_.P);
    if (!is_last && model_.messages[t].has_vectors) channels.vectors = room(block.vectors, block.n * 3 * L_ * model_.P);
    kernels_.channels(channels, 0, block.n);

    model_.first[t].values({0, block.n}, invariants(channels.invariants), rows_of(totals_, block), t > 0);
    if (!is_last && model_.messages[t].travels()) say(t, block);
  }

  // Tables of rows 𝐥 to channels, by one matrix for each degree.
  void mix(const std::vector<PackedMatrix<Real>> &matrices, const Block &block, const Real *from, int64_t width,
           int64_t skipped_by_last, Real *to) const
  {
    for (int l = 0; l <= L_; ++l)
      matrices[l].values(of_degree(l, block), {from + place(l, width, skipped_by_last), n_angular_ * width, width},
                         {to + place(l, model_.P, 0), n_features(), model_.P});
  }

  void mix_back(const std::vector<PackedMatrix<Real>> &matrices, const Block &block, const Real *grad, int64_t width,
                int64_t skipped_by_last, Real *to) const
  {
    for (int l = 0; l <= L_; ++l)
      matrices[l].gradient(of_degree(l, block), {grad + place(l, model_.P, 0), n_features(), model_.P},
                           {to + place(l, width, skipped_by_last), n_angular_ * width, width});
  }

  // There are no lower columns in the highest degree.
  int64_t place(int l, int64_t width, int64_t skipped_by_last) const
  {
    return n_angular_up_to(l - 1) * width + (l == L_ ? skipped_by_last : 0);
  }

  static Groups of_degree(int l, const Block &block) { return {0, block.n, (l + 1) * (l + 2) / 2}; }

  Rows<Real> invariants(Real *first) const { return {first, int64_t(n_invariants_) * model_.P}; }
  Rows<Real> rows_of(const Tensor &table, const Block &block) const
  {
    return {data_of<Real>(table) + block.first * table.size(1), table.size(1)};
  }

  void say(int t, Block &block) const
  {
    const Between &between = between_[t];
    Gates<Real> gates = gates_of(t, block);
    const int64_t P = model_.P, width = gates.width();
    Real *said = data_of<Real>(between.said) + block.first * width;
    sort_by_element(block);
    for (size_t s = 0; s < elements_.size(); ++s) {
      const SaysOfElement<Real> &says = *between.says[s];
      says.of_invariants.values(of_slot(block, s, 1), invariants(block.invariants.data()), {said, width});
      if (gates.has_vectors)
        says.of_vectors.values(of_slot(block, s, 3), {block.vectors.data(), 3 * L_ * P, L_ * P},
                               {said + gates.n_linear(), width, model_.M});
    }
    kernels_.gates(gates, 0, block.n);
  }

  void sort_by_element(Block &block) const
  {
    block.order.clear();
    block.begin_of_slot.assign(1, 0);
    for (size_t s = 0; s < elements_.size(); ++s) {
      for (int64_t i = 0; i < block.n; ++i)
        if (slots_[block.first + i] == static_cast<int>(s)) block.order.push_back(i);
      block.begin_of_slot.push_back(std::ssize(block.order));
    }
  }

  static Groups of_slot(const Block &block, size_t s, int rows)
  {
    return {block.begin_of_slot[s], block.begin_of_slot[s + 1], rows, block.order.data()};
  }

  // ---- energies ------------------------------------------------------------------------------------

  // And the gradient by the totals.
  void read_out(Block &block) const
  {
    const Rows<Real> totals = rows_of(totals_, block), grad_totals = rows_of(grad_totals_, block);
    const size_t n_dense = model_.tail.size();
    block.hidden.resize(4 * n_dense + 1);
    Rows<Real> x{totals.first, totals.group};
    int64_t n = model_.n_hidden;
    for (size_t k = 0; k < n_dense; ++k) {
      Real *inputs = room(block.hidden[4 * k], block.n * n), *values = room(block.hidden[4 * k + 1], block.n * n);
      Real *slopes = room(block.hidden[4 * k + 2], block.n * n);
      for (int64_t i = 0; i < block.n; ++i) std::copy_n(x.first + i * x.group, n, inputs + i * n);
      kernels_.activation({inputs, values, slopes}, 0, block.n * n);
      const int64_t n_next = model_.tail[k].n_out();
      x = {room(block.hidden[4 * k + 3], block.n * n_next), n_next};
      model_.tail[k].values({0, block.n}, {values, n}, x);
      n = n_next;
    }
    Real *energies = data_of<Real>(energies_) + block.first;
    for (int64_t i = 0; i < block.n; ++i)
      energies[i] = x.first[i * x.group] + (model_.has_linear ? totals.first[i * totals.group + model_.n_hidden] : 0);

    Rows<Real> grad{room(block.hidden[4 * n_dense], block.n * n), n};
    std::fill_n(grad.first, block.n * n, Real(0));
    for (int64_t i = 0; i < block.n; ++i) grad.first[i * n] = 1;
    for (size_t k = n_dense; k-- > 0;) {
      const int64_t n_before = k > 0 ? model_.tail[k - 1].n_out() : model_.n_hidden;
      // The inputs of the activation are needed no more.
      const Rows<Real> by_inputs{block.hidden[4 * k].data(), n_before};
      model_.tail[k].gradient({0, block.n}, grad, by_inputs);
      const Real *slopes = block.hidden[4 * k + 2].data();
      for (int64_t i = 0; i < block.n * n_before; ++i) by_inputs.first[i] *= slopes[i];
      grad = by_inputs;
    }
    for (int64_t i = 0; i < block.n; ++i) {
      Real *row = grad_totals.first + i * grad_totals.group;
      std::fill_n(row, grad_totals.group, Real(0));
      std::copy_n(grad.first + i * grad.group, model_.n_hidden, row);
      if (model_.has_linear) row[model_.n_hidden] = 1;
    }
  }

  void tell_ghosts(int t) const
  {
    if (exchange_ && t < model_.n_layers() && model_.messages[t].travels())
      to_ghosts(*exchange_, between_[t].told, n_atoms_);
  }

  // What the way back through layer t adds to, a copy for every thread.
  void open_gradients(int t)
  {
    if (t > 0 && model_.messages[t - 1].travels())
      between_[t - 1].grad_told = std::make_unique<SharedSum>(true, between_[t - 1].told, shares_);
  }

  // ---- the way back ----------------------------------------------------------------------------------

  void back(int t, Block &block) const
  {
    const bool is_last = t == model_.n_layers();
    const bool says = !is_last && model_.messages[t].travels();
    ProductChannels<Real> channels = channels_of(t, block);
    Real *grad_invariants = room(block.grad_invariants, block.n * n_invariants_ * model_.P);
    model_.first[t].gradient({0, block.n}, rows_of(grad_totals_, block), invariants(grad_invariants));
    if (says) {
      say_back(t, block);
      if (model_.messages[t].has_vectors) channels.grad_vectors = block.grad_vectors.data();
    }
    channels.grad_invariants = grad_invariants;
    Real *memory_of_block = grad_basis_.defined() ? data_of<Real>(grad_basis_) + block.first * n_features() : nullptr;
    if (!is_last && model_.messages[t].memory.defined()) channels.grad_by_next = memory_of_block;
    if (t > 0 && model_.messages[t - 1].memory.defined()) channels.grad_before = memory_of_block;
    channels.grad_basis = room(block.grad_basis, block.n * n_features());
    kernels_.channels_gradient(channels, 0, block.n);

    if (t == 0) {
      NeighborSum<Real> sum = neighbor_sum(block);
      sum.grad_raw = grad_raw(block, channels.grad_basis, sum);
      sum.grad_vectors = data_of<Real>(grad_vectors_);
      sum.adds_to_vectors = model_.n_layers() > 0;
      kernels<Real>().neighbor_sum_gradient(sum, 0, block.n);
    } else if (model_.messages[t - 1].travels()) {
      TensorSum<Real> sum = tensor_sum(t - 1);
      Real *grad_sums = room(block.sums, block.n * sum.size());
      mix_back(model_.messages[t - 1].mixing, block, channels.grad_basis, sum.width(), sum.first_scalar(), grad_sums);
      sum.grad_sums = grad_sums;
      sum.grad_vectors = data_of<Real>(grad_vectors_);
      sum.adds_to_vectors = !is_last;
      sum.grad_told = between_[t - 1].grad_told->template of_share<Real>(block.share);
      kernels_.tensor_sum_gradient(sum, block.first, block.first + block.n);
    }
  }

  // The sums over neighbours have rows that are no whole vectors.
  const Real *grad_raw(Block &block, const Real *grad_basis, const NeighborSum<Real> &sum) const
  {
    const int64_t width = sum.size() / n_angular_, filled = model_.mixing[0].n_in(), n_rows = block.n * n_angular_;
    Real *grad = room(block.raw, n_rows * filled);
    mix_back(model_.mixing, block, grad_basis, filled, 0, grad);
    for (int64_t k = 1; k < n_rows && filled != width; ++k) std::copy_n(grad + k * filled, width, grad + k * width);
    return grad;
  }

  void say_back(int t, Block &block) const
  {
    const Between &between = between_[t];
    Gates<Real> gates = gates_of(t, block);
    const int64_t P = model_.P, width = gates.width();
    gates.grad_told = data_of<Real>(between.grad_of_told) + block.first * between.grad_of_told.size(1);
    gates.grad_said = room(block.grad_said, block.n * width);
    kernels_.gates_gradient(gates, 0, block.n);
    sort_by_element(block);
    for (size_t s = 0; s < elements_.size(); ++s) {
      const SaysOfElement<Real> &says = *between.says[s];
      says.of_invariants.gradient(of_slot(block, s, 1), {gates.grad_said, width},
                                  invariants(block.grad_invariants.data()),
                                  /*adds=*/true);
      if (gates.has_vectors)
        says.of_vectors.gradient(of_slot(block, s, 3), {gates.grad_said + gates.n_linear(), width, model_.M},
                                 {room(block.grad_vectors, block.n * 3 * L_ * P), 3 * L_ * P, L_ * P});
    }
  }

  // ---- tasks of kernels ------------------------------------------------------------------------------

  NeighborSum<Real> neighbor_sum(const Block &block) const
  {
    NeighborSum<Real> sum;
    sum.basis = model_.basis;
    sum.n_weights = model_.n_basis;
    sum.by_receiver = by_receiver_.grouping();
    sum.by_receiver.start += block.first;
    sum.senders = atoms_.senders.template const_data_ptr<int64_t>();
    sum.vectors.value = data_of<Real>(atoms_.vectors);
    sum.weights.value = data_of<Real>(atoms_.sender);
    sum.frequencies.value = data_of<Real>(model_.frequencies);
    return sum;
  }

  TensorSum<Real> tensor_sum(int t) const
  {
    TensorSum<Real> sum;
    static_cast<Told &>(sum) = model_.told(t);
    sum.basis = model_.basis;
    sum.n_functions = model_.n_functions;
    sum.by_receiver = by_receiver_.grouping();
    sum.senders = atoms_.senders.template const_data_ptr<int64_t>();
    sum.vectors.value = data_of<Real>(atoms_.vectors);
    sum.frequencies.value = data_of<Real>(model_.frequencies);
    sum.radial = data_of<Real>(model_.messages[t].radial);
    sum.told = data_of<Real>(between_[t].told);
    return sum;
  }

  // A of layer t, which is kept, or that of the last one, which is not.
  Real *basis_of(int t, Block &block) const
  {
    if (t == model_.n_layers()) return room(block.basis, block.n * n_features());
    return data_of<Real>(between_[t].basis) + block.first * n_features();
  }

  ProductChannels<Real> channels_of(int t, Block &block) const
  {
    ProductChannels<Real> channels;
    channels.l_max = L_;
    channels.nu_max = model_.nu_max;
    channels.n_channels = model_.P;
    channels.basis = basis_of(t, block);
    if (t == 0) channels.factor = data_of<Real>(factor_) + block.first * model_.P;
    if (t > 0 && model_.messages[t - 1].memory.defined()) {
      channels.memory = data_of<Real>(model_.messages[t - 1].memory);
      channels.before = basis_of(t - 1, block);
    }
    return channels;
  }

  Gates<Real> gates_of(int t, const Block &block) const
  {
    Gates<Real> task{model_.told(t)};
    task.said = data_of<Real>(between_[t].said) + block.first * task.width();
    task.told = data_of<Real>(between_[t].told) + block.first * task.n_said() * task.M;
    return task;
  }

  const FreeWeights<Real> &model_;
  const Surroundings &atoms_;
  const FreeKernels<Real> &kernels_;
  GhostExchange *exchange_;
  int64_t n_atoms_;
  int L_, n_angular_, n_invariants_;
  Tensor factor_;
  GroupedEdges by_receiver_;
  Shares shares_;
  std::vector<int64_t> elements_;    // atomic numbers of the receivers
  std::vector<int> slots_;           // of every receiver in them
  Tensor totals_, grad_totals_, energies_, grad_vectors_;
  Tensor grad_basis_;    // by A in the memory of the next layer
  std::vector<Between> between_;
};

template <class Real> class FreePotential final : public Potential {
 public:
  explicit FreePotential(const NamedWeights &weights) : weights_(weights) {}

  std::tuple<Tensor, Tensor> evaluate(const Surroundings &atoms, GhostExchange *exchange) const override
  {
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    check(atoms, exchange);
    return FreeRecursion<Real>(weights_, atoms, exchange).energies_and_gradient();
  }

  Tensor features(const Surroundings &atoms, GhostExchange *exchange) const override
  {
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    check(atoms, exchange);
    return FreeRecursion<Real>(weights_, atoms, exchange).features();
  }

  int64_t values_per_ghost() const override
  {
    int64_t most = 0;
    for (int t = 0; t < weights_.n_layers(); ++t)
      most = std::max<int64_t>(most, weights_.told(t).n_said() * weights_.M);
    return most;
  }

 private:
  void check(const Surroundings &atoms, bool exchanges) const
  {
    check_surroundings(atoms, weights_.frequencies, weights_.n_basis, weights_.n_products, weights_.n_layers() > 0,
                       exchanges);
  }

  FreeWeights<Real> weights_;
};

}    // namespace

std::unique_ptr<Potential> free_potential(const NamedWeights &weights)
{
  if (weights.tensor("radial.frequencies").scalar_type() == at::kFloat)
    return std::make_unique<FreePotential<float>>(weights);
  return std::make_unique<FreePotential<double>>(weights);
}

}    // namespace pair_cace
