// Vector registers and dual numbers. Everything here lives in a namespace named after the instruction
// set it is compiled for: the same source is compiled once for each, see cmake/Kernels.cmake.
//
// Kernels are written once over a number type T, Vec<Real> or Dual<Vec<Real>>, see numbers.h.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

#if defined(__AVX512F__)
inline constexpr int vector_bytes = 64;
#elif defined(__AVX2__)
inline constexpr int vector_bytes = 32;
#else
inline constexpr int vector_bytes = 16;
#endif
inline constexpr bool many_registers = vector_bytes == 64;    // 32 of them

template <class Real> struct VecOf;
template <> struct VecOf<float> {
  typedef float Type __attribute__((vector_size(vector_bytes)));
  typedef int32_t Bits __attribute__((vector_size(vector_bytes)));
};
template <> struct VecOf<double> {
  typedef double Type __attribute__((vector_size(vector_bytes)));
  typedef int64_t Bits __attribute__((vector_size(vector_bytes)));
};
template <class Real> using Vec = typename VecOf<Real>::Type;
template <class Real> inline constexpr int lanes_of = vector_bytes / static_cast<int>(sizeof(Real));

template <class V> using LaneOf = std::remove_cv_t<std::remove_reference_t<decltype(V{}[0])>>;

// Number of vectors that hold n values.
template <class Real> constexpr int vectors_for(int n)
{
  return (n + lanes_of<Real> - 1) / lanes_of<Real>;
}

// Lanes in use if n values are left.
template <class Real> constexpr int lanes_in_use(int64_t n)
{
  return n < lanes_of<Real> ? static_cast<int>(n) : lanes_of<Real>;
}

// value − 0 is value, also for −0, and so the compiler leaves it out; not so 0 + value.
template <class Real> inline Vec<Real> broadcast(Real value)
{
  return value - Vec<Real>{};
}

template <class Real> inline Vec<Real> load(const Real *p)
{
  Vec<Real> v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

template <class Real> inline void store(Real *p, Vec<Real> v)
{
  std::memcpy(p, &v, sizeof v);
}

// 0, 1, 2, …
template <class V> inline V lane_numbers()
{
  V v{};
  for (int k = 0; k < static_cast<int>(sizeof v / sizeof v[0]); ++k) v[k] = k;
  return v;
}

// The first n lanes of a vector (all, if n is larger than that; none, if it is negative): reads 0 into the
// others, and neither reads nor writes memory behind them. AVX2 does so in parts: there are processors (AMD)
// that take ten cycles for a load with a mask and more for a store.
template <class Real> class FirstLanes {
 public:
  explicit FirstLanes(int n) : n_(n < 0 ? 0 : lanes_in_use<Real>(n))
  {
#if defined(__AVX512F__)
    mask_ = static_cast<Mask>((1u << n_) - 1);
#endif
  }

  Vec<Real> load(const Real *p) const
  {
#if defined(__AVX512F__)
    if constexpr (std::is_same_v<Real, float>)
      return (Vec<Real>)_mm512_maskz_loadu_ps(mask_, p);
    else
      return (Vec<Real>)_mm512_maskz_loadu_pd(mask_, p);
#elif defined(__AVX2__)
    if (n_ == lanes_of<Real>) [[likely]]
      return pair_cace::load(p);
    if constexpr (std::is_same_v<Real, float>) {
      const __m128 low = n_ & 4 ? _mm_loadu_ps(p) : load_parts(p);
      const __m128 high = n_ & 4 ? load_parts(p + 4) : _mm_setzero_ps();
      return (Vec<Real>)_mm256_set_m128(high, low);
    } else {
      const __m128d low = n_ & 2 ? _mm_loadu_pd(p) : n_ & 1 ? _mm_load_sd(p) : _mm_setzero_pd();
      const __m128d high = (n_ & 3) == 3 ? _mm_load_sd(p + 2) : _mm_setzero_pd();
      return (Vec<Real>)_mm256_set_m128d(high, low);
    }
#else
    if (n_ == lanes_of<Real>) return pair_cace::load(p);
    Real padded[lanes_of<Real>] = {};
    for (int k = 0; k < n_; ++k) padded[k] = p[k];
    return pair_cace::load(padded);
#endif
  }

  void store(Real *p, Vec<Real> v) const
  {
#if defined(__AVX512F__)
    if constexpr (std::is_same_v<Real, float>)
      _mm512_mask_storeu_ps(p, mask_, (__m512)v);
    else
      _mm512_mask_storeu_pd(p, mask_, (__m512d)v);
#elif defined(__AVX2__)
    if (n_ == lanes_of<Real>) return pair_cace::store(p, v);
    if constexpr (std::is_same_v<Real, float>) {
      __m128 part = _mm256_castps256_ps128((__m256)v);
      if (n_ & 4) {
        _mm_storeu_ps(p, part);
        part = _mm256_extractf128_ps((__m256)v, 1);
        p += 4;
      }
      if (n_ & 2) {
        _mm_storel_pi(reinterpret_cast<__m64 *>(p), part);
        part = _mm_movehl_ps(part, part);
        p += 2;
      }
      if (n_ & 1) _mm_store_ss(p, part);
    } else {
      __m128d part = _mm256_castpd256_pd128((__m256d)v);
      if (n_ & 2) {
        _mm_storeu_pd(p, part);
        part = _mm256_extractf128_pd((__m256d)v, 1);
        p += 2;
      }
      if (n_ & 1) _mm_store_sd(p, part);
    }
#else
    if (n_ == lanes_of<Real>) return pair_cace::store(p, v);
    for (int k = 0; k < n_; ++k) p[k] = v[k];
#endif
  }

 private:
  int n_;
#if defined(__AVX512F__)
  using Mask = std::conditional_t<std::is_same_v<Real, float>, __mmask16, __mmask8>;
  Mask mask_;
#elif defined(__AVX2__)
  // The n mod 4 numbers from p on.
  __m128 load_parts(const float *p) const
  {
    if (!(n_ & 2)) return n_ & 1 ? _mm_load_ss(p) : _mm_setzero_ps();
    const __m128 two = _mm_loadl_pi(_mm_setzero_ps(), reinterpret_cast<const __m64 *>(p));
    return n_ & 1 ? _mm_insert_ps(two, _mm_load_ss(p + 2), 0x20) : two;
  }
#endif
};

template <class Real> inline Vec<Real> load_first(const Real *p, int n)
{
  return FirstLanes<Real>(n).load(p);
}

template <class Real> inline void store_first(Real *p, Vec<Real> v, int n)
{
  FirstLanes<Real>(n).store(p, v);
}

// Calls body(first, size known at compile time) for pieces of 0 … n − 1, as equal as can be, of at most
// `largest`: what is summed for the entries of a piece stays in registers.
template <int largest, class Body> [[gnu::always_inline]] inline void in_pieces(int n, const Body &body)
{
  for (int first = 0, left = (n + largest - 1) / largest; left > 0; --left) {
    const int size = (n - first + left - 1) / left;
    [&]<int... smaller>(std::integer_sequence<int, smaller...>) {
      (void)((size == smaller + 1 && (body(first, std::integral_constant<int, smaller + 1>()), true)) || ...);
    }(std::make_integer_sequence<int, largest>());
    first += size;
  }
}

template <class V> inline auto sum_of_lanes(V v)
{
  constexpr int n = sizeof v / sizeof v[0];
  typename VecOf<LaneOf<V>>::Bits partner;
#pragma GCC unroll 4
  for (int step = n / 2; step > 0; step /= 2) {
    for (int k = 0; k < n; ++k) partner[k] = k ^ step;
    v += __builtin_shuffle(v, partner);
  }
  return v[0];
}

// ---- functions of vectors; those of dual numbers follow from them (numbers.h) --------------------

template <class V> inline V root(V x)
{
  alignas(V) std::remove_reference_t<decltype(x[0])> values[sizeof x / sizeof x[0]];
  std::memcpy(values, &x, sizeof x);
  for (auto &value : values) value = std::sqrt(value);
  std::memcpy(&x, values, sizeof x);
  return x;
}

template <class V> inline V inverse(V x)
{
  return 1 / x;
}
// 1/k!, with alternating signs of every second k if it is for a sine or cosine.
struct TaylorSeries {
  double exponential[24] = {}, trigonometric[24] = {};

  constexpr TaylorSeries()
  {
    double factorial = 1.0;
    for (int k = 0; k < 24; ++k) {
      if (k > 0) factorial *= k;
      exponential[k] = 1.0 / factorial;
      trigonometric[k] = (k / 2 % 2 == 0 ? 1.0 : -1.0) / factorial;
    }
  }
};
inline constexpr TaylorSeries taylor;

template <class Real> struct Rounding;    // x + magic − magic rounds to the nearest integer
template <> struct Rounding<float> {
  static constexpr float magic = 12582912.0f;    // 1.5 · 2^23
  static constexpr int mantissa = 23, bias = 127;
  static constexpr float quarter_turn[3] = {1.5703125f, 4.837512969970703125e-4f, 7.54978995489188216e-8f};
  static constexpr int half_turn_terms = 6;
  static constexpr float ln2[2] = {0.693359375f, -2.12194440e-4f};
  static constexpr float smallest_exponent = -87.0f;
  static constexpr int exp_terms = 7, sine_terms = 5, cosine_terms = 6;
};
template <> struct Rounding<double> {
  static constexpr double magic = 6755399441055744.0;    // 1.5 · 2^52
  static constexpr int mantissa = 52, bias = 1023;
  static constexpr double quarter_turn[3] = {1.57079632673412561417e+00, 6.07710050630396597660e-11,
                                             2.02226624879595063154e-21};
  static constexpr int half_turn_terms = 10;
  static constexpr double ln2[2] = {6.93147180369123816490e-01, 1.90821492927058770002e-10};
  static constexpr double smallest_exponent = -700.0;
  static constexpr int exp_terms = 14, sine_terms = 9, cosine_terms = 10;
};

// exp(x) for x ≤ 0 or moderate: 2^n times the Taylor series on |x − n ln 2| ≤ ln(2)/2.
template <class V> inline V exponential(V x)
{
  using Real = LaneOf<V>;
  using Bits = typename VecOf<Real>::Bits;
  using C = Rounding<Real>;
  x = x < C::smallest_exponent ? broadcast(C::smallest_exponent) : x;
  const V shifted = x * Real(1.44269504088896340736) + C::magic;
  const V n = shifted - C::magic;
  const V f = (x - n * C::ln2[0]) - n * C::ln2[1];
  V series = broadcast(Real(taylor.exponential[C::exp_terms]));
#pragma GCC unroll 16
  for (int k = C::exp_terms - 1; k >= 0; --k) series = series * f + Real(taylor.exponential[k]);
  const Bits exponent = (Bits)shifted - (Bits)broadcast(C::magic) + C::bias;
  return series * (V)(exponent << C::mantissa);
}

// sin and cos: Taylor series within an eighth of a turn.
template <class V> inline void sine_cosine(V x, V &sine, V &cosine)
{
  using Real = LaneOf<V>;
  using Bits = typename VecOf<Real>::Bits;
  using C = Rounding<Real>;
  const V shifted = x * Real(0.63661977236758134308) + C::magic;
  const V n = shifted - C::magic;
  const V f = ((x - n * C::quarter_turn[0]) - n * C::quarter_turn[1]) - n * C::quarter_turn[2];
  const V f2 = f * f;
  V s = broadcast(Real(taylor.trigonometric[2 * C::sine_terms + 1]));
  V c = broadcast(Real(taylor.trigonometric[2 * C::cosine_terms]));
#pragma GCC unroll 16
  for (int k = C::sine_terms - 1; k >= 0; --k) s = s * f2 + Real(taylor.trigonometric[2 * k + 1]);
#pragma GCC unroll 16
  for (int k = C::cosine_terms - 1; k >= 0; --k) c = c * f2 + Real(taylor.trigonometric[2 * k]);
  s = s * f;
  const Bits quadrant = (Bits)shifted;
  const V swapped_s = (quadrant & 1) != 0 ? c : s, swapped_c = (quadrant & 1) != 0 ? s : c;
  sine = (quadrant & 2) != 0 ? -swapped_s : swapped_s;
  cosine = ((quadrant + 1) & 2) != 0 ? -swapped_c : swapped_c;
}

// sin alone: Taylor series within a quarter of a turn, which takes fewer steps than two within an eighth.
template <class V> inline V sine(V x)
{
  using Real = LaneOf<V>;
  using Bits = typename VecOf<Real>::Bits;
  using C = Rounding<Real>;
  const V shifted = x * Real(0.31830988618379067154) + C::magic;
  const V n = (shifted - C::magic) * Real(2);    // quarters
  const V f = ((x - n * C::quarter_turn[0]) - n * C::quarter_turn[1]) - n * C::quarter_turn[2];
  const V f2 = f * f;
  V s = broadcast(Real(taylor.trigonometric[2 * C::half_turn_terms + 1]));
#pragma GCC unroll 16
  for (int k = C::half_turn_terms - 1; k >= 0; --k) s = s * f2 + Real(taylor.trigonometric[2 * k + 1]);
  return (V)((Bits)(s * f) ^ ((Bits)shifted << (8 * sizeof(Real) - 1)));    // odd halves of a turn: −
}

// ---- memory --------------------------------------------------------------------------------------

// Of memory that is written before it is read, except in lanes whose results nobody takes.
inline constexpr struct Unset {
} unset;

// Aligned scratch of one kernel call. Not std::vector: a template of the standard library compiled
// for AVX-512 could be the copy that the linker keeps for everyone.
template <class T> class Scratch {
 public:
  explicit Scratch(int64_t n) : Scratch(n, unset) { clear(); }

  Scratch(int64_t n, Unset) : size_(n)
  {
    const std::size_t bytes = (n * sizeof(T) + 63) / 64 * 64;
    data_ = static_cast<T *>(std::aligned_alloc(64, bytes == 0 ? 64 : bytes));
    if (!data_) throw std::bad_alloc();
  }
  ~Scratch() { std::free(data_); }
  Scratch(const Scratch &) = delete;
  Scratch &operator=(const Scratch &) = delete;

  void clear() { std::memset(static_cast<void *>(data_), 0, size_ * sizeof(T)); }
  int64_t size() const { return size_; }
  T *data() { return data_; }
  const T *data() const { return data_; }
  T &operator[](int64_t k) { return data_[k]; }

 private:
  T *data_;
  int64_t size_;
};

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace

#include "numbers.h"    // needs the functions above
