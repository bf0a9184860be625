// What one would write in place of atoms: a value that tells a vector of functions, a Boost signal or a sigc++ signal
// when it changes, each with the value before; and a map of anything.
#pragma once

#include <sigc++/sigc++.h>
#include <any>
#include <boost/signals2/dummy_mutex.hpp>
#include <boost/signals2/signal_type.hpp>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace bench {

/// Listeners in a vector.
template <class T>
class Functions {
 public:
  using Function = std::function<void(const T& now, const T& old)>;
  using Handle = std::size_t;

  Handle connect(Function function) {
    entries_.push_back({++last_, std::move(function)});
    return last_;
  }
  void disconnect(Handle handle) {
    std::erase_if(entries_, [&](const Entry& entry) { return entry.handle == handle; });
  }
  void operator()(const T& now, const T& old) const {
    for (const Entry& entry : entries_) entry.function(now, old);
  }

 private:
  struct Entry {
    Handle handle;
    Function function;
  };
  std::vector<Entry> entries_;
  Handle last_ = 0;
};

/// Without a lock, because only one thread is there.
template <class T>
class Signals2 {
 public:
  template <class Function>
  auto connect(Function function) {
    return signal_.connect(std::move(function));
  }
  void disconnect(boost::signals2::connection& connection) { connection.disconnect(); }
  void operator()(const T& now, const T& old) const { signal_(now, old); }

 private:
  using Signature = void(const T& now, const T& old);
  typename boost::signals2::signal_type<
      Signature, boost::signals2::keywords::mutex_type<boost::signals2::dummy_mutex>>::type signal_;
};

template <class T>
class Sigc {
 public:
  template <class Function>
  sigc::connection connect(Function function) {
    return signal_.connect(sigc::slot<void, const T&, const T&>(std::move(function)));
  }
  void disconnect(sigc::connection& connection) { connection.disconnect(); }
  void operator()(const T& now, const T& old) const { signal_.emit(now, old); }

 private:
  sigc::signal<void, const T&, const T&> signal_;
};

/// A value with listeners.
template <class T, class Signal>
struct Observed {
  T value{};
  Signal changed;

  bool update(T next) {
    if (next == value) return false;
    const T old = std::exchange(value, std::move(next));
    changed(value, old);
    return true;
  }
};

/// Values of any type, by key, each with listeners.
class AnyStore {
 public:
  using Values = std::unordered_map<std::string, std::any>;
  struct Slot {
    std::any value;
    Functions<std::any> changed;
  };

  template <class T>
  Slot& use(const std::string& key, const T& default_value) {
    const auto [place, is_new] = slots_.try_emplace(key);
    if (is_new) place->second.value = default_value;
    return place->second;
  }
  template <class T>
  static bool update(Slot& slot, T next) {
    if (std::any_cast<const T&>(slot.value) == next) return false;
    const std::any old = std::exchange(slot.value, std::any(std::move(next)));
    slot.changed(slot.value, old);
    return true;
  }
  Values snapshot() const {
    Values values;
    values.reserve(slots_.size());
    for (const auto& [key, slot] : slots_) values.emplace(key, slot.value);
    return values;
  }

 private:
  std::unordered_map<std::string, Slot> slots_;
};

/// A map from text that finds a string_view without making a string of it.
struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
};
template <class T>
using TextMap = std::unordered_map<std::string, T, TextHash, std::equal_to<>>;

}  // namespace bench
