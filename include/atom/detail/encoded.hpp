// A value that came as text and has no type yet: the text is known to be well-formed, and is decoded when somebody asks
// for a type. The core knows only this much of it; who parsed the text knows the rest.
#pragma once

#include <atom/config.hpp>
#include <atom/error.hpp>
#include <atom/fwd.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <string_view>
#include <utility>

namespace atom::inline v0_1::detail {

struct TypeOps;
class JsonWriter;

/// What an error says of the keys of a map: they are data, as values are.
enum class MapKeys : std::uint8_t { named, hidden };

/// A parsed text with many values, shared by all that refer to one of them. Immutable, so any thread may read it.
class ATOM_API EncodedText {
 public:
  EncodedText() = default;
  EncodedText(const EncodedText&) = delete;
  EncodedText& operator=(const EncodedText&) = delete;
  /// Builds the value at `place` as `type` in raw memory; false: it is none, and the error says why.
  virtual bool decode(std::size_t place, const TypeOps& type, void* to, std::pmr::memory_resource* memory,
                      DecodeError& error, MapKeys map_keys) const = 0;
  virtual void write(std::size_t place, JsonWriter& writer) const = 0;

 protected:
  virtual ~EncodedText() = default;

 private:
  friend class Encoded;
  mutable std::atomic<std::uint32_t> references_{0};
};

class Encoded {
 public:
  static constexpr std::string_view atom_public_name = "undecoded text";
  Encoded(const EncodedText& text, std::size_t place) noexcept : text_(&text), place_(place) { hold(); }
  Encoded(const Encoded& other) noexcept : text_(other.text_), place_(other.place_) { hold(); }
  Encoded& operator=(const Encoded& other) noexcept {
    Encoded copy(other);
    std::swap(text_, copy.text_);
    std::swap(place_, copy.place_);
    return *this;
  }
  ~Encoded() {
    if (text_->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete text_;
  }

  bool decode(const TypeOps& type, void* to, std::pmr::memory_resource* memory, DecodeError& error,
              MapKeys map_keys) const {
    return text_->decode(place_, type, to, memory, error, map_keys);
  }
  void write(JsonWriter& writer) const { text_->write(place_, writer); }

 private:
  void hold() const noexcept { text_->references_.fetch_add(1, std::memory_order_relaxed); }

  const EncodedText* text_;
  std::size_t place_;
};

}  // namespace atom::inline v0_1::detail

template <>
struct atom::codec<atom::detail::Encoded> {
  static void write(atom::detail::JsonWriter& writer, const atom::detail::Encoded& value) { value.write(writer); }
};
