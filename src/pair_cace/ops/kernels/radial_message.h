// The message Ar: radial functions of the distance times A of the neighbours. One channel per lane; for
// the distances, one edge per lane.
//
// Counted per edge, with M = n_radial · C: value M (N_l + (L+1) · exp); gradient three times that. Read:
// A of the other atom, 4 M N_l bytes. Atoms near each other share their neighbours: a block of atoms goes
// through one radial function after the other, so that the rows it reads, n_radial times smaller than A,
// come from the cache.
#pragma once

#include "edge_basis.h"

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

template <class T> class RadialMessages {
  using Real = RealOf<T>;
  using V = VectorOf<T>;
  static constexpr int lanes = lanes_of<Real>;

 public:
  explicit RadialMessages(const RadialMessage<Real> &task)
      : task_(task), n_angular_(task.n_angular()), size_(int64_t(task.n_radial) * n_angular_ * task.n_channels)
  {
  }

  // Messages to atoms begin … end − 1.
  void values(int64_t begin, int64_t end)
  {
    in_blocks(begin, end, [&](int64_t atom, int m) {
      for (int l = 0; l <= task_.l_max; ++l)
        at_degree(l, [&]<int degree>(std::integral_constant<int, degree>) {
          for (int c = 0; c < task_.n_channels; c += lanes) add_up<degree>(atom, m, c);
        });
    });
  }

  // Of senders begin … end − 1: gradient by their A, and by all edges that leave them.
  void gradients(int64_t begin, int64_t end)
  {
    in_blocks(
        begin, end,
        [&](int64_t atom, int m) {
          for (int64_t e = 0; e < n_edges_; ++e) grad_length_[e] = zero<T>();
          for (int l = 0; l <= task_.l_max; ++l)
            at_degree(l, [&]<int degree>(std::integral_constant<int, degree>) {
              for (int c = 0; c < task_.n_channels; c += lanes) add_gradients<degree>(atom, m, c);
            });
          for (int64_t e = 0; e < n_edges_; ++e) {
            const Number sum = sum_of(grad_length_[e]);
            Number &total = edge(e).grad_length;
            total = {total.a + sum.a, total.d + sum.d};
          }
        },
        [&] {
          if (task_.grad_vectors) write_vector_gradients();
        });
  }

 private:
  struct Number {    // of one edge
    Real a = 0, d = 0;
  };
  struct Edge {
    Number length, fc, fc_slope, grad_length;
  };
  static constexpr int64_t edges_at_once = 2048;

  // Calls body(atom, m) for all atoms and radial functions, end_of_block() after those of a block.
  template <class Body, class End = void (*)()>
  void in_blocks(int64_t begin, int64_t end, const Body &body, const End &end_of_block = [] {})
  {
    for (int64_t first = begin, last; first < end; first = last) {
      last = first + 1;
      while (last < end && edges_before(last + 1) - edges_before(first) <= edges_at_once) ++last;
      measure(edges_before(first), edges_before(last));
      for (int m = 0; m < task_.n_radial; ++m)
        for (int64_t atom = first; atom < last; ++atom) {
          first_edge_ = edges_before(atom);
          n_edges_ = edges_before(atom + 1) - first_edge_;
          for (Growing<T> *of_edges : {&factor_, &overlap_, &grad_length_}) of_edges->require(n_edges_);
          body(atom, m);
        }
      end_of_block();
    }
  }

  int64_t edges_before(int64_t atom) const { return task_.amplitude.value ? task_.groups.start[atom] : 0; }

  template <int degree> [[gnu::always_inline]] void add_up(int64_t atom, int m, int c)
  {
    constexpr int begin = angular_before(degree), size = angular_before(degree + 1) - begin;
    const int used = task_.n_channels - c;
    const T amplitude = parameter(task_.amplitude, degree, m, c, used);
    const T decay = parameter(task_.decay, degree, m, c, used);
    V sum[size];
    remember<degree>(task_.basis, atom, m, c, sum);
    for (int64_t e = 0; e < n_edges_; ++e)
      factor_[e] = amplitude * exponential(-(decay * number(edge(e).length))) * number(edge(e).fc);
    for (int64_t e = 0; e < n_edges_; ++e) {
      const T factor = factor_[e];
      const int64_t at = place(other(e), m, begin, c);
#pragma GCC unroll 32
      for (int k = 0; k < size; ++k) sum[k] += result_of(factor * input(task_.basis, at + k * task_.n_channels, used));
    }
    for (int k = 0; k < size; ++k) store_first(task_.message + place(atom, m, begin + k, c), sum[k], used);
  }

  template <int degree> [[gnu::always_inline]] void add_gradients(int64_t atom, int m, int c)
  {
    constexpr int begin = angular_before(degree), size = angular_before(degree + 1) - begin;
    const int used = task_.n_channels - c;
    const T amplitude = parameter(task_.amplitude, degree, m, c, used);
    const T decay = parameter(task_.decay, degree, m, c, used);
    const int64_t here = place(atom, m, begin, c);
    V sum[size], grad_amplitude{}, grad_decay{};
    remember<degree>({task_.grad_message, nullptr}, atom, m, c, sum);
    for (int64_t e = 0; e < n_edges_; ++e) factor_[e] = exponential(-(decay * number(edge(e).length)));
    for (int64_t e = 0; e < n_edges_; ++e) {
      const V factor = result_of(amplitude * factor_[e] * number(edge(e).fc));
      const Real *gradient = task_.grad_message + place(other(e), m, begin, c);
      T part[2] = {zero<T>(), zero<T>()};
#pragma GCC unroll 32
      for (int k = 0; k < size; ++k) {
        const V g = load_first(gradient + k * task_.n_channels, used);
        part[k % 2] += g * input(task_.basis, here + k * task_.n_channels, used);
        sum[k] += factor * g;
      }
      overlap_[e] = part[0] + part[1];
    }
    for (int64_t e = 0; e < n_edges_; ++e) {
      const T r = number(edge(e).length), damped = factor_[e], overlap = overlap_[e];
      const T radial = amplitude * damped, weighted = overlap * number(edge(e).fc);
      grad_amplitude += result_of(weighted * damped);
      grad_decay += result_of(-(weighted * radial * r));
      grad_length_[e] += overlap * radial * number(edge(e).fc_slope) - weighted * radial * decay;
    }
    add_parameter(task_.grad_amplitude, grad_amplitude, degree, m, c, used);
    add_parameter(task_.grad_decay, grad_decay, degree, m, c, used);
    if (task_.grad_basis)
      for (int k = 0; k < size; ++k) store_first(task_.grad_basis + here + k * task_.n_channels, sum[k], used);
  }

  // What the atom keeps of its own values x, (…, n_radial, N_l, C): m x; 0 without memory.
  template <int degree, int size> void remember(const Input<Real> &x, int64_t atom, int m, int c, V (&sum)[size]) const
  {
    for (V &one : sum) one = V{};
    if (!task_.memory || atom >= task_.n_receivers) return;
    const int used = task_.n_channels - c;
    const V memory = load_first(task_.memory + parameter_place(degree, m, c), used);
    for (int k = 0; k < size; ++k)
      sum[k] = result_of(memory * input(x, place(atom, m, angular_before(degree) + k, c), used));
  }

  // Lengths and cutoff factors of edges begin … end − 1, those of a block.
  void measure(int64_t begin, int64_t end)
  {
    block_ = begin;
    block_end_ = end;
    edges_.require(end - begin);
    for (int64_t first = begin; first < end; first += lanes) {
      load_vectors(first);
      T value, slope;
      cutoff_function(vectors_.length, task_.cutoff, task_.exponent, value, slope);
      for (int e = 0; e < vectors_.n; ++e)
        edges_[first - begin + e] = {lane(vectors_.length, e), lane(value, e), lane(slope, e), {}};
    }
  }

  void write_vector_gradients()
  {
    for (int64_t first = block_; first < block_end_; first += lanes) {
      load_vectors(first);
      T by_length = zero<T>();
      for (int e = 0; e < vectors_.n; ++e) set_lane(by_length, e, edges_[first - block_ + e].grad_length);
      by_length = by_length * inverse(vectors_.length);
      const T gradient[3] = {by_length * vectors_.r[0], by_length * vectors_.r[1], by_length * vectors_.r[2]};
      vectors_.store_gradient(gradient, task_.groups, first, task_.grad_vectors, task_.adds_to_vectors);
    }
  }

  void load_vectors(int64_t first) { vectors_.load(task_.vectors, task_.groups, first, block_end_, task_.cutoff); }

  // Edge e of the atom.
  Edge &edge(int64_t e) { return edges_[first_edge_ - block_ + e]; }

  static Number lane(const T &x, int e)
  {
    if constexpr (is_dual<T>)
      return {x.a[e], x.d[e]};
    else
      return {x[e], 0};
  }

  static void set_lane(T &x, int e, Number number)
  {
    if constexpr (is_dual<T>) {
      x.a[e] = number.a;
      x.d[e] = number.d;
    } else {
      x[e] = number.a;
    }
  }

  static Number sum_of(const T &x)
  {
    if constexpr (is_dual<T>)
      return {sum_of_lanes(x.a), sum_of_lanes(x.d)};
    else
      return {sum_of_lanes(x), 0};
  }

  static T number(const Number &x)
  {
    if constexpr (is_dual<T>)
      return {broadcast(x.a), broadcast(x.d)};
    else
      return broadcast(x.a);
  }

  int64_t other(int64_t e) const { return task_.other[task_.groups.edge(first_edge_ + e)]; }

  int64_t place(int64_t atom, int m, int k, int c) const
  {
    return atom * size_ + (int64_t(m) * n_angular_ + k) * task_.n_channels + c;
  }

  T parameter(const Input<Real> &table, int l, int m, int c, int used) const
  {
    if (!table.value) return zero<T>();
    return input(table, parameter_place(l, m, c), used);
  }

  int64_t parameter_place(int l, int m, int c) const
  {
    return (int64_t(m) * (task_.l_max + 1) + l) * task_.n_channels + c;
  }

  void add_parameter(Real *table, V gradient, int l, int m, int c, int used) const
  {
    if (!table) return;
    Real *to = table + parameter_place(l, m, c);
    store_first(to, load_first(to, used) + gradient, used);
  }

  static T input(const Input<Real> &from, int64_t at, int used)
  {
    const V value = load_first(from.value + at, used);
    if constexpr (is_dual<T>)
      return {value, from.tangent ? load_first(from.tangent + at, used) : V{}};
    else
      return value;
  }

  // Grows to the largest number of edges that is met.
  template <class Value> class Growing {
   public:
    ~Growing() { std::free(data_); }
    void require(int64_t n)
    {
      if (n <= size_) return;
      std::free(data_);
      size_ = 2 * n;
      data_ = static_cast<Value *>(std::aligned_alloc(64, (size_ * sizeof(Value) + 63) / 64 * 64));
      if (!data_) throw std::bad_alloc();
    }
    Value &operator[](int64_t k) { return data_[k]; }

   private:
    Value *data_ = nullptr;
    int64_t size_ = 0;
  };

  const RadialMessage<Real> &task_;
  int n_angular_;
  int64_t size_;                            // of A of one atom
  int64_t block_ = 0, block_end_ = 0;       // edges of the block
  int64_t first_edge_ = 0, n_edges_ = 0;    // those of the atom
  EdgeVectors<T> vectors_;
  Growing<Edge> edges_;    // of the block
  // Of the atom's edges, one channel per lane. Exponentials are a long chain of operations: those of many
  // edges run side by side in a loop of their own.
  Growing<T> factor_, overlap_;
  Growing<T> grad_length_;    // for one radial function; lanes to be added up
};

template <class T> void radial_message(const RadialMessage<RealOf<T>> &task, int64_t begin, int64_t end)
{
  RadialMessages<T>(task).values(begin, end);
}

template <class T> void radial_message_gradient(const RadialMessage<RealOf<T>> &task, int64_t begin, int64_t end)
{
  RadialMessages<T>(task).gradients(begin, end);
}

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
