// torch.ops.pair_cace.mixed_basis and .mixed_invariants: schema and checks over kernels/mixing.h.

#include "torch_glue.h"
#include "twice_differentiable.h"

#include <ATen/Dispatch.h>
#include <torch/library.h>

namespace {

using namespace pair_cace;

struct Shape {
  int64_t n_atoms, l_max, n_rbf, n_radial, n_basis, n_weights;
  int64_t nu_max = 0, n_invariants = 0;    // 0: A itself is wanted

  int64_t n_channels() const { return n_basis * n_basis; }
  int64_t n_angular() const { return n_angular_up_to(static_cast<int>(l_max)); }
};

class MixingOperation : public Operation {
 public:
  explicit MixingOperation(const Shape &shape) : shape_(shape) {}

  enum { raw, weight, receiver, extra };

  Tensor value(const Inputs &x, const Inputs *direction) const override
  {
    const bool invariants = shape_.nu_max > 0;
    Tensor result = at::empty({shape_.n_atoms, shape_.n_radial, invariants ? shape_.n_invariants : shape_.n_angular(),
                               shape_.n_channels()},
                              x[receiver].options());
    AT_DISPATCH_FLOATING_TYPES(result.scalar_type(), "mixing", [&] {
      Mixing<scalar_t> task = task_at<scalar_t>(x, direction);
      (invariants ? task.invariants : task.basis) = result.data_ptr<scalar_t>();
      const auto &table = kernels_for<scalar_t>(x[receiver]);
      const auto kernel = direction ? table.mixing_tangent : table.mixing;
      shares(table.atoms_at_once, x[receiver]).run([&](int64_t begin, int64_t end, int64_t) {
        kernel(task, begin, end);
      });
    });
    return result;
  }

  Inputs gradient(const Tensor &grad, const Inputs &x, const Inputs *direction, const Wanted &wanted) const override
  {
    Inputs result;
    for (int k : {raw, receiver, extra})
      if (wanted[k]) result[k] = at::empty_like(x[k]);
    AT_DISPATCH_FLOATING_TYPES(grad.scalar_type(), "mixing", [&] {
      Mixing<scalar_t> task = task_at<scalar_t>(x, direction);
      (shape_.nu_max > 0 ? task.grad_invariants : task.grad_basis) = grad.const_data_ptr<scalar_t>();
      task.grad_raw = data_of<scalar_t>(result[raw]);
      task.grad_receiver = data_of<scalar_t>(result[receiver]);
      task.grad_extra = data_of<scalar_t>(result[extra]);
      const auto &table = kernels_for<scalar_t>(x[receiver]);
      const auto kernel = direction ? table.mixing_gradient_tangent : table.mixing_gradient;
      const Shares threads = shares(table.atoms_at_once, x[receiver]);
      const SharedSum by_weight(wanted[weight], x[weight], threads, copies_for_atoms);
      threads.run([&](int64_t begin, int64_t end, int64_t share) {
        Mixing<scalar_t> mine = task;
        mine.n_copies = by_weight.n_copies();
        mine.grad_weight = by_weight.of_share<scalar_t>(share);
        kernel(mine, begin, end);
      });
      result[weight] = by_weight.total();
    });
    return result;
  }

 private:
  template <class Real> Mixing<Real> task_at(const Inputs &x, const Inputs *direction) const
  {
    Mixing<Real> task;
    task.l_max = static_cast<int>(shape_.l_max);
    task.nu_max = static_cast<int>(std::max<int64_t>(1, shape_.nu_max));
    task.n_rbf = static_cast<int>(shape_.n_rbf);
    task.n_radial = static_cast<int>(shape_.n_radial);
    task.n_basis = static_cast<int>(shape_.n_basis);
    task.n_weights = static_cast<int>(shape_.n_weights);
    task.n_atoms = shape_.n_atoms;
    task.raw = input_of<Real>(x, direction, raw);
    task.weight = input_of<Real>(x, direction, weight);
    task.receiver = input_of<Real>(x, direction, receiver);
    task.extra = input_of<Real>(x, direction, extra);
    return task;
  }

  Shares shares(int64_t atoms_at_once, const Tensor &like) const
  {
    const int64_t per_column = shape_.n_angular() * (shape_.n_rbf + 5);
    return Shares(shape_.n_atoms, atoms_at_once, shape_.n_atoms * per_column * shape_.n_radial * shape_.n_channels(),
                  like);
  }

  Shape shape_;
};

Tensor or_none(const c10::optional<Tensor> &tensor)
{
  return tensor.has_value() && tensor->defined() ? tensor->contiguous() : Tensor();
}

// l_max of n_angular functions; one more than is allowed if there are too many.
int64_t degree_of(int64_t n_angular)
{
  int l = 0;
  while (l <= max_degree && n_angular_up_to(l) < n_angular) ++l;
  return l;
}

// Shape of the task; complains of inputs that do not fit each other.
Shape shape_of(const Tensor &raw, const Tensor &weight, const Tensor &receiver, const Tensor &extra)
{
  TORCH_CHECK(raw.defined() == weight.defined() && (raw.defined() || extra.defined()),
              "mixing: expected raw and weight, or extra, or all three");
  TORCH_CHECK(receiver.dim() == 2, "mixing: expected receiver embeddings of shape (N, K), got ", receiver.sizes());
  Shape shape{};
  shape.n_atoms = receiver.size(0);
  shape.n_basis = receiver.size(1);
  if (raw.defined()) {
    TORCH_CHECK(raw.dim() == 4 && weight.dim() == 4,
                "mixing: expected raw (N, N_l, n_rbf, columns) and weight (L+1, n_rbf, n_radial, C), "
                "got shapes ",
                raw.sizes(), " and ", weight.sizes());
    shape.l_max = weight.size(0) - 1;
    shape.n_rbf = weight.size(1);
    shape.n_radial = weight.size(2);
    shape.n_weights = raw.size(3);
    TORCH_CHECK(raw.size(0) == shape.n_atoms && raw.size(1) == shape.n_angular() && raw.size(2) == shape.n_rbf &&
                    weight.size(3) == shape.n_channels() &&
                    (shape.n_weights == shape.n_basis || shape.n_weights == shape.n_channels()),
                "mixing: raw ", raw.sizes(), ", weight ", weight.sizes(), " and receiver embeddings ", receiver.sizes(),
                " do not fit each other");
    check_same_type("mixing", {raw, weight, receiver});
  } else {
    TORCH_CHECK(extra.dim() == 4, "mixing: expected extra (N, n_radial, N_l, C), got ", extra.sizes());
    shape.l_max = degree_of(extra.size(2));
    shape.n_radial = extra.size(1);
  }
  if (extra.defined()) {
    const std::array<int64_t, 4> expected{shape.n_atoms, shape.n_radial, shape.n_angular(), shape.n_channels()};
    TORCH_CHECK(extra.sizes() == at::IntArrayRef(expected), "mixing: expected extra of shape ",
                at::IntArrayRef(expected), ", got ", extra.sizes());
    check_same_type("mixing", {extra, receiver});
  }
  TORCH_CHECK(shape.l_max <= max_degree, "mixing: expected l_max from 0 to ", max_degree, ", got ", shape.l_max);
  return shape;
}

Tensor mixed(const c10::optional<Tensor> &raw, const c10::optional<Tensor> &weight, const Tensor &receiver,
             const c10::optional<Tensor> &extra, int64_t nu_max)
{
  const Inputs x{or_none(raw), or_none(weight), receiver.contiguous(), or_none(extra)};
  Shape shape = shape_of(x[0], x[1], x[2], x[3]);
  shape.nu_max = nu_max;
  if (nu_max > 0) shape.n_invariants = number_of_invariants(static_cast<int>(shape.l_max), static_cast<int>(nu_max));
  return differentiable(c10::make_intrusive<MixingOperation>(shape), x);
}

Tensor mixed_basis(const c10::optional<Tensor> &raw, const c10::optional<Tensor> &weight, const Tensor &receiver,
                   const c10::optional<Tensor> &extra)
{
  return mixed(raw, weight, receiver, extra, 0);
}

Tensor mixed_invariants(const c10::optional<Tensor> &raw, const c10::optional<Tensor> &weight, const Tensor &receiver,
                        const c10::optional<Tensor> &extra, int64_t nu_max)
{
  TORCH_CHECK(1 <= nu_max && nu_max <= 4, "mixed_invariants: expected nu_max from 1 to 4, got ", nu_max);
  return mixed(raw, weight, receiver, extra, nu_max);
}

}    // namespace

TORCH_LIBRARY_FRAGMENT(pair_cace, library)
{
  library.def("mixed_basis(Tensor? raw, Tensor? weight, Tensor receiver_embedding, Tensor? extra) "
              "-> Tensor",
              mixed_basis);
  library.def("mixed_invariants(Tensor? raw, Tensor? weight, Tensor receiver_embedding, "
              "Tensor? extra, int nu_max) -> Tensor",
              mixed_invariants);
}
