// torch.ops.pair_cace.tensor_message: what the neighbours of an atom say, scalars or vectors h with d components, summed
// with radial functions and û^𝐥:
//
//   g_{i,𝐥,d,c} = Σ_{e→i} Y_{e,𝐥} R_{e,l,c} h_{j,d,m},   Y = û^𝐥, l the degree of 𝐥, and c = (r, m) row-major.
//
// Σ_{i,𝐥,d,c} g′ g is linear in g′, Y, R and h: its derivative with respect to one of them is a sum over the three others, and
// the derivatives of that are such sums again, of any order. Tables of edges × 𝐥 × columns are not stored on a CPU.

#include "torch_glue.h"

#include <ATen/Dispatch.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/index_add.h>
#include <ATen/ops/index_select.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <array>
#include <optional>
#include <vector>

namespace {

using namespace pair_cace;

enum Part { of_g, of_Y, of_R, of_h, n_parts };
static_assert(of_g == int(TensorMessagePart::g) && of_h == int(TensorMessagePart::h));
using Parts = std::array<Tensor, n_parts>;

struct Sizes {
  int64_t n_edges, n_atoms, n_senders, n_angular, n_degrees, n_components, n_functions, n_told;

  int64_t n_columns() const { return n_functions * n_told; }
  int64_t row() const { return n_components * n_columns(); }
};

struct Edges : torch::CustomClassHolder {
  Tensor senders, receivers, degree;    // (E,), (E,) and (N_l,), int64
  Sizes size;
  std::optional<GroupedEdges> by_receiver;    // where there are kernels
};
using EdgesHandle = c10::intrusive_ptr<Edges>;

// ---- loops ---------------------------------------------------------------------------------------

template <class Real> struct Tables {
  Real *g;    // (N, N_l, d, c)
  Real *Y;    // (E, N_l)
  Real *R;    // (E, L+1, c)
  Real *h;    // (senders, d, m)
  const int64_t *senders, *receivers, *degree;
};

// X_{l,d,c} = R_{l,c} h_{d,m} of an edge, or of what multiplies X: the sums of R's or h's gradient.
template <Part part, class Real>
[[gnu::always_inline]] inline void outer(Real *__restrict__ X, Real *__restrict__ R, Real *__restrict__ h,
                                         const Sizes &size)
{
  for (int64_t l = 0; l < size.n_degrees; ++l)
    for (int64_t d = 0; d < size.n_components; ++d)
      for (int64_t r = 0; r < size.n_functions; ++r) {
        Real *__restrict__ x = X + (l * size.n_components + d) * size.n_columns() + r * size.n_told;
        Real *__restrict__ radial = R + l * size.n_columns() + r * size.n_told;
        Real *__restrict__ told = h + d * size.n_told;
        for (int64_t m = 0; m < size.n_told; ++m) {
          if constexpr (part == of_R)
            radial[m] += x[m] * told[m];
          else if constexpr (part == of_h)
            told[m] += x[m] * radial[m];
          else
            x[m] = radial[m] * told[m];
        }
      }
}

template <class Real> [[gnu::always_inline]] inline Real dot(const Real *a, const Real *b, int64_t n)
{
  constexpr int lanes = 16;    // sums side by side, which vector instructions can add up
  Real sums[lanes] = {}, total = 0;
  int64_t k = 0;
  for (; k + lanes <= n; k += lanes)
    for (int lane = 0; lane < lanes; ++lane) sums[lane] += a[k + lane] * b[k + lane];
  for (int lane = 0; k < n; ++k, ++lane) sums[lane] += a[k] * b[k];
  for (const Real sum : sums) total += sum;
  return total;
}

// Of the edges begin … end − 1 whose receivers (of g) or senders (of h) are from first_atom on and before end_atom.
template <Part part, class Real>
[[gnu::always_inline]] inline void sum_edges(const Tables<Real> &table, const Sizes &size, int64_t begin, int64_t end,
                                             int64_t first_atom, int64_t end_atom, Real *__restrict__ X)
{
  const int64_t row = size.row();
  for (int64_t e = begin; e < end; ++e) {
    const int64_t receiver = table.receivers[e], sender = table.senders[e];
    const int64_t mine = part == of_h ? sender : receiver;
    if ((part == of_g || part == of_h) && (mine < first_atom || mine >= end_atom)) continue;
    Real *R = table.R + e * size.n_degrees * size.n_columns(), *h = table.h + sender * size.n_components * size.n_told;
    constexpr bool makes_X = part == of_g || part == of_Y;
    if constexpr (makes_X)
      outer<of_g>(X, R, h, size);
    else
      for (int64_t k = 0; k < size.n_degrees * row; ++k) X[k] = 0;
    for (int64_t a = 0; a < size.n_angular; ++a) {
      Real *__restrict__ g = table.g + (receiver * size.n_angular + a) * row;
      Real *__restrict__ x = X + table.degree[a] * row;
      Real &Y = table.Y[e * size.n_angular + a];
      if constexpr (part == of_Y) {
        Y = dot(g, x, row);
      } else {
        const Real y = Y;
        for (int64_t k = 0; k < row; ++k)
          if constexpr (part == of_g)
            g[k] += y * x[k];
          else
            x[k] += y * g[k];
      }
    }
    if constexpr (!makes_X) outer<part>(X, R, h, size);
  }
}

// Compiled for several instruction sets; the loader takes the best that the machine has.
#if defined(__x86_64__)
#define PAIR_CACE_CLONES [[gnu::target_clones("avx512f", "avx2", "default")]]
#else
#define PAIR_CACE_CLONES
#endif
#define PAIR_CACE_SUM(part, Real)                                                                                      \
  PAIR_CACE_CLONES void sum(std::integral_constant<Part, part>, const Tables<Real> &table, const Sizes &size,          \
                            int64_t begin, int64_t end, int64_t first_atom, int64_t end_atom, Real *X)                 \
  {                                                                                                                    \
    sum_edges<part>(table, size, begin, end, first_atom, end_atom, X);                                                 \
  }
PAIR_CACE_SUM(of_g, float)
PAIR_CACE_SUM(of_g, double)
PAIR_CACE_SUM(of_Y, float)
PAIR_CACE_SUM(of_Y, double)
PAIR_CACE_SUM(of_R, float)
PAIR_CACE_SUM(of_R, double)
PAIR_CACE_SUM(of_h, float)
PAIR_CACE_SUM(of_h, double)

// Makes those that are known contiguous, and zeros for `part`.
template <Part part> void prepare(Parts &tensors, const Edges &edges)
{
  const Sizes &n = edges.size;
  const std::array<std::vector<int64_t>, n_parts> shapes{{{n.n_atoms, n.n_angular, n.n_components, n.n_columns()},
                                                          {n.n_edges, n.n_angular},
                                                          {n.n_edges, n.n_degrees, n.n_columns()},
                                                          {n.n_senders, n.n_components, n.n_told}}};
  const auto type = tensors[(part + 1) % n_parts].scalar_type();
  for (int k = 0; k < n_parts; ++k)
    tensors[k] = k == part ? at::zeros(shapes[k], edges.receivers.options().dtype(type)) : tensors[k].contiguous();
}

template <Part part> Tensor on_host(Parts tensors, const Edges &edges)
{
  const Sizes &n = edges.size;
  prepare<part>(tensors, edges);
  AT_DISPATCH_FLOATING_TYPES(tensors[part].scalar_type(), "tensor_message", [&] {
    const Tables<scalar_t> table{data_of<scalar_t>(tensors[of_g]),        data_of<scalar_t>(tensors[of_Y]),
                                 data_of<scalar_t>(tensors[of_R]),        data_of<scalar_t>(tensors[of_h]),
                                 edges.senders.const_data_ptr<int64_t>(), edges.receivers.const_data_ptr<int64_t>(),
                                 edges.degree.const_data_ptr<int64_t>()};
    // Every share has atoms, or edges, that no other adds to.
    const bool by_atom = part == of_g || part == of_h;
    const int64_t n_mine = part == of_g ? n.n_atoms : part == of_h ? n.n_senders : n.n_edges;
    in_shares(n_mine, worthwhile_shares(n.n_edges * n.n_angular * n.row()), [&](int64_t first, int64_t last, int) {
      std::vector<scalar_t> X(n.n_degrees * n.row());
      sum(std::integral_constant<Part, part>(), table, n, by_atom ? 0 : first, by_atom ? n.n_edges : last,
          by_atom ? first : 0, by_atom ? last : 0, X.data());
    });
  });
  return tensors[part];
}

// Whether there are kernels for where `tensor` is and for shapes of these sizes. They know the degrees of 𝐥.
template <class Real> bool has_kernels(const Tensor &tensor, const Sizes &n)
{
  if (tensor.is_cuda() && !has_cuda_kernels()) return false;
  const Kernels<Real> &table = kernels_for<Real>(tensor);
  const bool fits = (n.n_components == 1 || n.n_components == 3) && n.n_degrees <= max_degree + 1 &&
                    n.n_angular == n_angular_up_to(static_cast<int>(n.n_degrees) - 1);
  return table.tensor_message[of_g] && fits;
}

template <Part part> Tensor by_kernels(Parts tensors, const Edges &edges)
{
  const Sizes &n = edges.size;
  prepare<part>(tensors, edges);
  AT_DISPATCH_FLOATING_TYPES(tensors[part].scalar_type(), "tensor_message", [&] {
    TensorMessageSum<scalar_t> task;
    task.l_max = static_cast<int>(n.n_degrees) - 1;
    task.n_components = static_cast<int>(n.n_components);
    task.n_functions = static_cast<int>(n.n_functions);
    task.n_told = static_cast<int>(n.n_told);
    task.by_receiver = edges.by_receiver->grouping();
    task.senders = edges.senders.const_data_ptr<int64_t>();
    task.g = data_of<scalar_t>(tensors[of_g]);
    task.Y = data_of<scalar_t>(tensors[of_Y]);
    task.R = data_of<scalar_t>(tensors[of_R]);
    task.h = data_of<scalar_t>(tensors[of_h]);
    kernels_for<scalar_t>(tensors[part]).tensor_message[part](task, 0, n.n_atoms);
  });
  return tensors[part];
}

// The same by operations of torch, on devices and for shapes without kernels.
template <Part part> Tensor by_torch(const Parts &tensors, const Edges &edges)
{
  const Sizes &n = edges.size;
  const auto of_edges = [&](Part which) -> Tensor {    // (E, N_l, d, r, m), or 1 where there is no such index
    const Tensor &table = tensors[which];
    if (which == of_g) return table.index_select(0, edges.receivers).unflatten(3, {n.n_functions, n.n_told});
    if (which == of_Y) return table.unsqueeze(2).unsqueeze(3).unsqueeze(4);
    if (which == of_R) return table.index_select(1, edges.degree).unflatten(2, {n.n_functions, n.n_told}).unsqueeze(2);
    return table.index_select(0, edges.senders).unsqueeze(1).unsqueeze(3);
  };
  Tensor product;
  for (const Part which : {of_g, of_Y, of_R, of_h})
    if (which != part) product = product.defined() ? product * of_edges(which) : of_edges(which);
  const auto zeros = [&](at::IntArrayRef shape) { return at::zeros(shape, product.options()); };
  if (part == of_Y) return product.sum(at::IntArrayRef{2, 3, 4});
  if (part == of_g)
    return zeros({n.n_atoms, n.n_angular, n.n_components, n.n_columns()})
        .index_add(0, edges.receivers, product.flatten(3));
  if (part == of_R)
    return zeros({n.n_edges, n.n_degrees, n.n_columns()}).index_add(1, edges.degree, product.sum(2).flatten(2));
  return zeros({n.n_senders, n.n_components, n.n_told}).index_add(0, edges.senders, product.sum(at::IntArrayRef{1, 3}));
}

// ---- derivatives ---------------------------------------------------------------------------------

template <Part part> Tensor sum_over(const Parts &tensors, const EdgesHandle &edges);

Tensor sum_over(Part part, const Parts &tensors, const EdgesHandle &edges)
{
  switch (part) {
  case of_g: return sum_over<of_g>(tensors, edges);
  case of_Y: return sum_over<of_Y>(tensors, edges);
  case of_R: return sum_over<of_R>(tensors, edges);
  default: return sum_over<of_h>(tensors, edges);
  }
}

// Of three of g, Y, R, h, in this order, the sum that is the fourth.
template <Part part> class TensorMessage : public torch::autograd::Function<TensorMessage<part>> {
 public:
  static constexpr Part others[3] = {part == of_g ? of_Y : of_g, part <= of_Y ? of_R : of_Y,
                                     part == of_h ? of_R : of_h};

  static Tensor forward(torch::autograd::AutogradContext *context, const Tensor &a, const Tensor &b, const Tensor &c,
                        const EdgesHandle &edges)
  {
    context->save_for_backward({a, b, c});
    context->saved_data["edges"] = c10::IValue::make_capsule(edges);
    Parts tensors;
    tensors[others[0]] = a;
    tensors[others[1]] = b;
    tensors[others[2]] = c;
    if (edges->by_receiver) return by_kernels<part>(tensors, *edges);
    return a.is_cpu() ? on_host<part>(tensors, *edges) : by_torch<part>(tensors, *edges);
  }

  static std::vector<Tensor> backward(torch::autograd::AutogradContext *context, const std::vector<Tensor> &grads)
  {
    const auto saved = context->get_saved_variables();
    const auto edges = c10::static_intrusive_pointer_cast<Edges>(context->saved_data["edges"].toCapsule());
    Parts known;
    known[part] = grads[0];
    for (int k = 0; k < 3; ++k) known[others[k]] = saved[k];
    std::vector<Tensor> found(4);    // the last: edges have no gradient
    for (int k = 0; k < 3; ++k)
      if (context->needs_input_grad(k)) found[k] = sum_over(others[k], known, edges);
    return found;
  }
};

template <Part part> Tensor sum_over(const Parts &tensors, const EdgesHandle &edges)
{
  constexpr auto &others = TensorMessage<part>::others;
  return TensorMessage<part>::apply(tensors[others[0]], tensors[others[1]], tensors[others[2]], edges);
}

Tensor tensor_message(const Tensor &angular, const Tensor &radial, const Tensor &told, const Tensor &senders,
                      const Tensor &receivers, const Tensor &degree, int64_t n_atoms)
{
  const char *name = "tensor_message";
  TORCH_CHECK(angular.dim() == 2 && radial.dim() == 3 && told.dim() == 3 && radial.size(0) == angular.size(0) &&
                  told.size(2) > 0 && radial.size(2) % told.size(2) == 0,
              name, ": expected angular (E, N_l), radial (E, L+1, r m) and told (senders, d, m), got shapes ",
              angular.sizes(), ", ", radial.sizes(), " and ", told.sizes());
  TORCH_CHECK(senders.size(0) == angular.size(0) && receivers.size(0) == angular.size(0) &&
                  degree.size(0) == angular.size(1),
              name, ": expected ", angular.size(0), " senders and receivers and ", angular.size(1),
              " degrees, got shapes ", senders.sizes(), ", ", receivers.sizes(), " and ", degree.sizes());
  check_same_type(name, {angular, radial, told});
  check_indices(name, senders, told.size(0));
  check_indices(name, receivers, n_atoms);
  check_indices(name, degree, radial.size(1));
  const auto edges = c10::make_intrusive<Edges>();
  edges->senders = senders.contiguous();
  edges->receivers = receivers.contiguous();
  edges->degree = degree.contiguous();
  edges->size = {angular.size(0),
                 n_atoms,
                 told.size(0),
                 angular.size(1),
                 radial.size(1),
                 told.size(1),
                 radial.size(2) / told.size(2),
                 told.size(2)};
  AT_DISPATCH_FLOATING_TYPES(angular.scalar_type(), "tensor_message", [&] {
    if (has_kernels<scalar_t>(angular, edges->size)) edges->by_receiver.emplace(name, edges->receivers, n_atoms);
  });
  return sum_over<of_g>({Tensor(), angular, radial, told}, edges);
}

}    // namespace

TORCH_LIBRARY_FRAGMENT(pair_cace, library)
{
  // (E, N_l), (E, L+1, r m), (senders, d, m) to (n_atoms, N_l, d, r m).
  library.def(
      "tensor_message(Tensor angular, Tensor radial, Tensor told, Tensor senders, Tensor receivers, Tensor degree, "
      "int n_atoms) -> Tensor",
      tensor_message);
}
