// The message Ar: radial functions of the distance times A of the neighbours. One channel per lane; for
// the distances, one edge per lane.
//
// Counted per edge, with M = n_radial · C: value M (N_l + (L+1) · exp); gradient three times that. Read:
// A of the other atom, 4 M N_l bytes.
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
  {}

  void values(int64_t atom)
  {
    measure(atom);
    for (int m = 0; m < task_.n_radial; ++m)
      for (int c = 0; c < task_.n_channels; c += lanes) {
        const int used = task_.n_channels - c;
        for (int l = 0; l <= task_.l_max; ++l)
          at_degree(l, [&]<int degree>(std::integral_constant<int, degree>) {
            constexpr int begin = angular_before(degree), size = angular_before(degree + 1) - begin;
            const T amplitude = parameter(task_.amplitude, degree, m, c, used);
            const T decay = parameter(task_.decay, degree, m, c, used);
            V sum[size];
            remember<degree>(task_.basis, atom, m, c, sum);
            for (int64_t e = 0; e < n_edges_; ++e) {
              const T factor =
                  amplitude * exponential(-(decay * number(length_, e))) * number(fc_, e);
              const int64_t at = place(other(e), m, begin, c);
#pragma GCC unroll 32
              for (int k = 0; k < size; ++k)
                sum[k] += result_of(factor * input(task_.basis, at + k * task_.n_channels, used));
            }
            for (int k = 0; k < size; ++k)
              store_first(task_.message + place(atom, m, begin + k, c), sum[k], used);
          });
      }
  }

  // Of a sender: gradient by its A, and by all edges that leave it.
  void gradients(int64_t atom)
  {
    measure(atom);
    for (int m = 0; m < task_.n_radial; ++m)
      for (int c = 0; c < task_.n_channels; c += lanes) {
        const int used = task_.n_channels - c;
        for (int l = 0; l <= task_.l_max; ++l)
          at_degree(l, [&]<int degree>(std::integral_constant<int, degree>) {
            constexpr int begin = angular_before(degree), size = angular_before(degree + 1) - begin;
            const T amplitude = parameter(task_.amplitude, degree, m, c, used);
            const T decay = parameter(task_.decay, degree, m, c, used);
            const int64_t here = place(atom, m, begin, c);
            V sum[size], grad_amplitude{}, grad_decay{};
            remember<degree>({task_.grad_message, nullptr}, atom, m, c, sum);
            for (int64_t e = 0; e < n_edges_; ++e) {
              const T r = number(length_, e), fc = number(fc_, e);
              const T damped = exponential(-(decay * r));
              const T radial = amplitude * damped;
              const V factor = result_of(radial * fc);
              const Real *gradient = task_.grad_message + place(other(e), m, begin, c);
              T overlap = zero<T>();
#pragma GCC unroll 32
              for (int k = 0; k < size; ++k) {
                const V g = load_first(gradient + k * task_.n_channels, used);
                overlap += g * input(task_.basis, here + k * task_.n_channels, used);
                sum[k] += factor * g;
              }
              const T weighted = overlap * fc;
              grad_amplitude += result_of(weighted * damped);
              grad_decay += result_of(-(weighted * radial * r));
              grad_length_[e] += overlap * radial * number(fc_slope_, e) - weighted * radial * decay;
            }
            add_parameter(task_.grad_amplitude, grad_amplitude, degree, m, c, used);
            add_parameter(task_.grad_decay, grad_decay, degree, m, c, used);
            if (task_.grad_basis)
              for (int k = 0; k < size; ++k)
                store_first(task_.grad_basis + here + k * task_.n_channels, sum[k], used);
          });
      }
    if (task_.grad_vectors) write_vector_gradients();
  }

 private:
  struct Number {    // of one edge
    Real a = 0, d = 0;
  };

  // What the atom keeps of its own values x, (…, n_radial, N_l, C): m x; 0 without memory.
  template <int degree, int size>
  void remember(const Input<Real> &x, int64_t atom, int m, int c, V (&sum)[size]) const
  {
    for (V &one : sum) one = V{};
    if (!task_.memory || atom >= task_.n_receivers) return;
    const int used = task_.n_channels - c;
    const V memory = load_first(task_.memory + parameter_place(degree, m, c), used);
    for (int k = 0; k < size; ++k)
      sum[k] = result_of(memory * input(x, place(atom, m, angular_before(degree) + k, c), used));
  }

  // Lengths and cutoff factors of all edges of the atom.
  void measure(int64_t atom)
  {
    start_ = n_edges_ = 0;
    if (task_.amplitude.value) {
      start_ = task_.groups.start[atom];
      n_edges_ = task_.groups.start[atom + 1] - start_;
    }
    length_.require(n_edges_ + lanes);
    fc_.require(n_edges_ + lanes);
    fc_slope_.require(n_edges_ + lanes);
    grad_length_.require(n_edges_ + lanes);
    for (int64_t first = 0; first < n_edges_; first += lanes) {
      load_edges(first);
      T value, slope;
      cutoff_function(edges_.length, task_.cutoff, task_.exponent, value, slope);
      for (int e = 0; e < edges_.n; ++e) {
        length_[first + e] = lane(edges_.length, e);
        fc_[first + e] = lane(value, e);
        fc_slope_[first + e] = lane(slope, e);
        grad_length_[first + e] = zero<T>();
      }
    }
  }

  void write_vector_gradients()
  {
    for (int64_t first = 0; first < n_edges_; first += lanes) {
      load_edges(first);
      T by_length = zero<T>();
      for (int e = 0; e < edges_.n; ++e) set_lane(by_length, e, sum_of(grad_length_[first + e]));
      by_length = by_length * inverse(edges_.length);
      const T gradient[3] = {by_length * edges_.r[0], by_length * edges_.r[1],
                             by_length * edges_.r[2]};
      edges_.store_gradient(gradient, task_.groups, start_ + first, task_.grad_vectors,
                            task_.adds_to_vectors);
    }
  }

  void load_edges(int64_t first)
  {
    edges_.load(task_.vectors, task_.groups, start_ + first, start_ + n_edges_, task_.cutoff);
  }

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

  template <class Numbers> static T number(Numbers &numbers, int64_t e)
  {
    if constexpr (is_dual<T>)
      return {broadcast(numbers[e].a), broadcast(numbers[e].d)};
    else
      return broadcast(numbers[e].a);
  }

  int64_t other(int64_t e) const { return task_.other[task_.groups.edge(start_ + e)]; }

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
  int64_t size_;    // of A of one atom
  int64_t start_ = 0, n_edges_ = 0;
  EdgeVectors<T> edges_;
  Growing<Number> length_, fc_, fc_slope_;
  Growing<T> grad_length_;    // one channel per lane, to be added up
};

template <class T>
void radial_message(const RadialMessage<RealOf<T>> &task, int64_t begin, int64_t end)
{
  RadialMessages<T> messages(task);
  for (int64_t atom = begin; atom < end; ++atom) messages.values(atom);
}

template <class T>
void radial_message_gradient(const RadialMessage<RealOf<T>> &task, int64_t begin, int64_t end)
{
  RadialMessages<T> messages(task);
  for (int64_t atom = begin; atom < end; ++atom) messages.gradients(atom);
}

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
