// Writes JSON that is valid JavaScript, and safe inside an HTML script element and a single-quoted attribute, whatever
// it is given: `<`, `>`, `&`, `'`, U+2028 and U+2029 are escaped, text that is not UTF-8 gets U+FFFD, and there is no
// NaN.
#pragma once

#include <atom/config.hpp>
#include <atom/detail/utf8.hpp>

#include <bit>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace atom::inline v0_1::detail {

/// Every value is followed by a comma; what closes a container overwrites the last one. Not thread-safe.
class JsonWriter {
 public:
  JsonWriter() noexcept {}
  JsonWriter(const JsonWriter&) = delete;
  JsonWriter& operator=(const JsonWriter&) = delete;
  ~JsonWriter() {
    if (begin_ != inline_) delete[] begin_;
  }

  /// What was written, without the last comma.
  std::string_view text() const noexcept {
    const std::size_t size = static_cast<std::size_t>(at_ - begin_);
    return {begin_, size - (size > 0 && at_[-1] == ',' ? 1 : 0)};
  }
  /// The paths of numbers that are none in JSON: infinite, or not a number. As members they were left out, elsewhere
  /// they are null. Those of the first thousand: each is found by reading all that was written.
  const std::vector<std::string>& left_out() const noexcept { return left_out_; }
  /// Whether nothing had to be left out, and all text was UTF-8: it says all that it was given.
  bool is_whole() const noexcept { return left_out_.empty() && !is_mended_; }

  void null() { word("null,"); }
  void boolean(bool value) { value ? word("true,") : word("false,"); }
  ATOM_NOINLINE void integer(std::int64_t value) {
    need(24);
    at_ = std::to_chars(at_, at_ + 21, value).ptr;
    *at_++ = ',';
  }
  ATOM_NOINLINE void unsigned_integer(std::uint64_t value) {
    need(24);
    at_ = std::to_chars(at_, at_ + 21, value).ptr;
    *at_++ = ',';
  }
  /// The shortest digits that are read back as `value`.
  ATOM_NOINLINE void number(double value) { floating(value); }
  ATOM_NOINLINE void number(float value) { floating(value); }
  ATOM_NOINLINE void text(std::string_view value) {
    const char* from = value.data();
    const char* const end = from + value.size();
    need(value.size() + 24);
    *at_++ = '"';
    while (end - from >= 8) {
      std::uint64_t eight;
      std::memcpy(&eight, from, 8);
      std::memcpy(at_, &eight, 8);
      const std::uint64_t special = specials(eight);
      const int plain = special ? first_byte(special) : 8;
      from += plain;
      at_ += plain;
      if (special) from = escape(from, end);
    }
    while (from != end) {
      if (is_plain(*from)) {
        *at_++ = *from++;
      } else {
        from = escape(from, end);
      }
    }
    *at_++ = '"';
    *at_++ = ',';
  }

  /// A value that another one has written.
  void written(std::string_view value) {
    need(value.size() + 24);
    value.copy(at_, value.size());
    at_ += value.size();
    *at_++ = ',';
  }
  void begin_object() { open('{'); }
  void end_object() { close('}'); }
  void begin_array() { open('['); }
  void end_array() { close(']'); }
  void key(std::string_view name) {
    text(name);
    at_[-1] = ':';
  }
  /// A key that is quoted already, with its colon.
  template <std::size_t Size>
  void quoted_key(const char* quoted) {
    need(Size);
    std::memcpy(at_, quoted, Size);
    at_ += Size;
  }

 private:
  friend class LogText;
  static constexpr std::size_t inline_size = 2048;
  static constexpr std::size_t named_at_most = 1000;

  void need(std::size_t size) {
    if (static_cast<std::size_t>(end_ - at_) < size) [[unlikely]]
      grow(size);
  }
  ATOM_COLD void grow(std::size_t size) {
    const auto used = static_cast<std::size_t>(at_ - begin_);
    const std::size_t bigger = 2 * static_cast<std::size_t>(end_ - begin_) + size;
    char* const place = new char[bigger];
    std::memcpy(place, begin_, used);
    if (begin_ != inline_) delete[] begin_;
    begin_ = place;
    at_ = place + used;
    end_ = place + bigger;
  }
  void open(char bracket) {
    need(1);
    *at_++ = bracket;
  }
  void close(char bracket) {
    need(2);
    if (at_[-1] == ',') --at_;
    *at_++ = bracket;
    *at_++ = ',';
  }
  template <std::size_t N>
  void word(const char (&letters)[N]) {
    need(N - 1);
    std::memcpy(at_, letters, N - 1);
    at_ += N - 1;
  }

  template <class Number>
  void floating(Number value) {
    using Limits = std::numeric_limits<Number>;
    if (!(value >= Limits::lowest() && value <= (Limits::max)())) [[unlikely]]
      return leave_out();
    need(40);
    // With at most two decimals and 14 digits, hundredths are the shortest digits that read back. They are quick to
    // find, and prices look like that.
    if (value < Number(1e12) && value > Number(-1e12) && value != 0 && std::is_same_v<Number, double>) {
      const auto hundredths = static_cast<std::int64_t>(value * 100 + (value < 0 ? Number(-0.5) : Number(0.5)));
      if (static_cast<Number>(hundredths) / 100 == value) {
        const auto all = static_cast<std::uint64_t>(hundredths < 0 ? -hundredths : hundredths);
        if (hundredths < 0) *at_++ = '-';
        at_ = std::to_chars(at_, at_ + 20, all / 100).ptr;
        if (const auto rest = static_cast<unsigned>(all % 100)) {
          *at_++ = '.';
          *at_++ = static_cast<char>('0' + rest / 10);
          if (rest % 10) *at_++ = static_cast<char>('0' + rest % 10);
        }
        *at_++ = ',';
        return;
      }
    }
    using Bits = std::conditional_t<sizeof(Number) == sizeof(std::uint64_t), std::uint64_t, std::uint32_t>;
    if (value == 0 && std::bit_cast<Bits>(value) != 0) {
      return word("-0.0,");  // "-0" would be read as an integer, which has no sign there
    }
    // Not in plain digits where these could be taken for an integer, which readers bound at 64 bits.
    const bool large = value > Number(1e18) || value < Number(-1e18);
    at_ = (large ? std::to_chars(at_, at_ + 32, value, std::chars_format::scientific)
                 : std::to_chars(at_, at_ + 32, value))
              .ptr;
    *at_++ = ',';
  }
  /// Takes back the key of a member; writes null anywhere else.
  ATOM_COLD void leave_out() {
    if (left_out_.size() < named_at_most) left_out_.push_back(path());
    if (at_ == begin_ || at_[-1] != ':') return null();
    char* quote = at_ - 2;  // the one that ends the key
    do {
      --quote;
    } while (*quote != '"' || is_escaped(quote));
    at_ = quote;
  }
  bool is_escaped(const char* place) const noexcept {
    std::size_t backslashes = 0;
    while (place - backslashes > begin_ && place[-1 - static_cast<std::ptrdiff_t>(backslashes)] == '\\') ++backslashes;
    return backslashes % 2 == 1;
  }
  /// Of the value that is to come next: "user.prices[2]". Read from what was written.
  std::string path() const {
    std::string all;
    struct Level {
      std::size_t size;  // of `all` outside
      bool is_array;
      std::size_t index = 0;
    };
    std::vector<Level> levels;
    std::string_view last;  // text
    for (const char* c = begin_; c < at_; ++c) {
      if (*c == '"') {
        const char* const first = ++c;
        while (*c != '"' || is_escaped(c)) ++c;
        last = {first, static_cast<std::size_t>(c - first)};
      } else if (*c == ':') {
        all.resize(levels.back().size);
        all.append(all.empty() ? "" : ".").append(last);
      } else if (*c == '{' || *c == '[') {
        levels.push_back({all.size(), *c == '['});
        if (*c == '[') all += "[0]";
      } else if (*c == '}' || *c == ']') {
        all.resize(levels.back().size);
        levels.pop_back();
      } else if (*c == ',' && !levels.empty() && levels.back().is_array) {
        all.resize(levels.back().size);
        all.append("[").append(std::to_string(++levels.back().index)).append("]");
      }
    }
    return all;
  }

  static constexpr std::uint64_t ones = 0x0101010101010101u;
  /// Nonzero high bits, of which the lowest byte is surely the first that is not plain. (Little endian; elsewhere all
  /// of them count as not plain.)
  static constexpr std::uint64_t specials(std::uint64_t eight) noexcept {
    if constexpr (std::endian::native != std::endian::little) return ones;
    const auto is_zero = [](std::uint64_t x) { return (x - ones) & ~x; };
    return (is_zero((eight | ones * 2) ^ ones * 0x3e)  // < >
            | is_zero((eight | ones) ^ ones * 0x27)    // & '
            | is_zero(eight ^ ones * 0x22)             // "
            | is_zero(eight ^ ones * 0x5c)             // backslash
            | (eight - ones * 0x20) | eight) &
           ones * 0x80;  // control characters; not ASCII
  }
  static int first_byte(std::uint64_t special) noexcept {
    return std::endian::native == std::endian::little ? std::countr_zero(special) / 8 : 0;
  }
  static constexpr bool is_plain(char c) noexcept {
    return c >= 0x20 && static_cast<unsigned char>(c) < 0x80 && c != '"' && c != '\\' && c != '<' && c != '>' &&
           c != '&' && c != '\'';
  }
  void unicode(unsigned code) noexcept {
    static constexpr char digits[] = "0123456789abcdef";
    const char escaped[] = {
        '\\', 'u', digits[code >> 12 & 15], digits[code >> 8 & 15], digits[code >> 4 & 15], digits[code & 15]};
    std::memcpy(at_, escaped, sizeof escaped);
    at_ += sizeof escaped;
  }
  void escaped(char letter) noexcept {
    *at_++ = '\\';
    *at_++ = letter;
  }
  /// Writes what stands at `from`, which is not plain, and returns what comes after it.
  ATOM_NOINLINE const char* escape(const char* from, const char* end) {
    need(static_cast<std::size_t>(end - from) + 32);
    if (static_cast<unsigned char>(*from) >= 0x80) return beyond_ascii(from, end);
    switch (*from) {
      case '"':
      case '\\':
        escaped(*from);
        break;
      case '\n':
        escaped('n');
        break;
      case '\r':
        escaped('r');
        break;
      case '\t':
        escaped('t');
        break;
      default:
        unicode(static_cast<unsigned char>(*from));
    }
    return from + 1;
  }
  /// A run of text that is not ASCII.
  const char* beyond_ascii(const char* from, const char* end) {
    while (from != end && static_cast<unsigned char>(*from) >= 0x80) {
      need(static_cast<std::size_t>(end - from) + 32);
      const std::size_t length = utf8_length({from, static_cast<std::size_t>(end - from)});
      if (length == 0) {
        is_mended_ = true;
        std::memcpy(at_, "\xef\xbf\xbd", 3);
        at_ += 3;
        ++from;
      } else if (length == 3 && std::memcmp(from, "\xe2\x80", 2) == 0 && (from[2] & 0x7e) == 0x28) {
        unicode(0x2028u + (static_cast<unsigned char>(from[2]) & 1u));
        from += 3;
      } else {
        std::memcpy(at_, from, length);
        at_ += length;
        from += length;
      }
    }
    return from;
  }

  char* begin_ = inline_;
  char* at_ = inline_;
  char* end_ = inline_ + inline_size;
  std::vector<std::string> left_out_;
  bool is_mended_ = false;  // some text was not UTF-8
  char inline_[inline_size];
};

}  // namespace atom::inline v0_1::detail
