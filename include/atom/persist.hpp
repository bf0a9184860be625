// Values that outlive a request: atoms marked `persist` are kept by an adapter, such as a cookie, under their key, as
// JSON. Needs simdjson: link `atom::json`.
//
//   inline const atom::Atom<std::string> locale{"locale", "en", {.client_writable = true, .persist = true}};
//
//   struct Cookies {
//     std::optional<std::string> get(std::string_view key);
//     void set(std::string_view key, std::string_view text);
//     void remove(std::string_view key);
//   };
//   Cookies cookies{request, response};
//   atom::AtomStore store;
//   store.persist_with(cookies);
#pragma once

#include <atom/atom_base.hpp>
#include <atom/config.hpp>
#include <atom/detail/attachment.hpp>
#include <atom/detail/delivery.hpp>
#include <atom/detail/json_writer.hpp>
#include <atom/error.hpp>
#include <atom/json_reader.hpp>
#include <atom/signal.hpp>
#include <atom/snapshot.hpp>
#include <atom/store.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace atom::inline v0_1 {

/// Keeps texts by key. What it throws is reported, and breaks nothing.
template <class A>
concept persist_adapter = requires(A& adapter, std::string_view key, std::string_view text) {
  { adapter.get(key) } -> std::convertible_to<std::optional<std::string>>;
  adapter.set(key, text);
  adapter.remove(key);
};

struct PersistOptions {
  /// Whose the adapter's texts are. A client's (its cookies, say) change client-writable atoms only, after their
  /// `before_update`, and what is server-only is not given to it.
  Trust trust = Trust::client;
  JsonLimits limits = {};
};

/// Something that was not restored, saved or removed.
struct PersistFailure {
  enum class Operation : std::uint8_t { get, set, remove };
  std::string key;
  Operation operation;
  std::string reason;
};

namespace detail {

template <class Adapter>
class PersistHook final : public Attachment {
 public:
  PersistHook(AtomStore& store, Adapter& adapter, const PersistOptions& options)
      : Attachment(Kind::persist), store_(store), adapter_(adapter), options_(options) {}

  static void require_none(const AtomStore& store) {
    if (store.attachments_.find(Kind::persist)) throw Error("the store has an adapter already");
  }
  /// Puts it into the store, for the atoms that it has and for those to come. What it returns are the newest hundred
  /// failures, the oldest first.
  /// If this throws, the store is as it was, and this is gone.
  const std::vector<PersistFailure>& start() {
    store_.attachments_.push(*this);
    try {
      Hold hold(store_.delivery_);  // the adapter may use atoms of the store, or drop one
      std::vector<AtomBase*> clones;
      for (AtomBase& clone : store_.list()) clones.push_back(&clone);
      for (AtomBase* const clone : clones) {
        if (!clone->definition_->persist || (clone->flags_ & AtomBase::dropped)) continue;
        const bool is_hydrated = !clone->owns_value() && clone->value_ != clone->definition_->default_value;
        if (!clone->is_modified() && !is_hydrated)
          restore(*clone->definition_);  // else the value here is the newer one
        if (!(clone->flags_ & AtomBase::dropped)) follow(*clone);
      }
      begun_.clear();
      is_starting_ = false;
      hold.finish_quietly();
    } catch (...) {
      for (Subscription& subscription : begun_) subscription.unsubscribe();
      store_.attachments_.remove(*this);
      store_gone();
      throw;
    }
    return failures_;
  }

  void before_use(const Definition& definition) override {
    if (!definition.persist || store_.waiting(definition)) return;  // the store was given another value since
    restore(definition);
  }
  void after_use(AtomBase& clone) override {
    if (clone.definition_->persist) follow(clone);
  }
  void store_gone() noexcept override {
    std::pmr::memory_resource& memory = *store_.resource();
    this->~PersistHook();
    memory.deallocate(this, sizeof(PersistHook), alignof(PersistHook));
  }

 private:
  /// From now on what becomes of it is saved.
  void follow(AtomBase& clone) {
    begin(clone.signal_.subscribe(
        on_change, [this](const void* now, const void*, AtomBase& atom) { save(*atom.definition_, now); }));
    begin(clone.signal_.subscribe(on_reset, [this](const void*, const void*, AtomBase& atom) {
      if (atom.is_modified()) return save(*atom.definition_, atom.value_);  // written since, in the same batch
      const std::string& key = atom.definition_->key;
      attempt(key, PersistFailure::Operation::remove, [&] { adapter_.remove(std::string_view(key)); });
    }));
  }
  /// Until it has started it may still have to let go.
  void begin(Subscription subscription) {
    if (!is_starting_) return;
    try {
      begun_.push_back(std::move(subscription));
    } catch (...) {
      subscription.unsubscribe();
      throw;
    }
  }
  void restore(const Definition& definition) {
    attempt(definition.key, PersistFailure::Operation::get, [&] {
      const std::optional<std::string> text = adapter_.get(std::string_view(definition.key));
      if (!text) return;
      Result<Snapshot> kept = snapshot_of_value(definition.key, *text, options_.limits);
      if (!kept) {
        DecodeError error = kept.error();
        if (definition.server_only) error.path.clear();
        return report(definition.key, PersistFailure::Operation::get, error.message());
      }
      const HydrateReport taken = store_.hydrate(*std::move(kept), {.trust = options_.trust});
      store_.layers_.keep_newest();
      for (const Rejection& rejection : taken.rejected) {
        report(definition.key, PersistFailure::Operation::get, rejection.reason);
      }
    });
  }
  /// A path has the keys of maps in it: they are not named where the atom is server-only.
  static std::string place(const Definition& definition, const std::string& path) {
    return definition.server_only || path.empty() ? std::string() : path + ": ";
  }
  void save(const Definition& definition, const void* value) {
    constexpr auto operation = PersistFailure::Operation::set;
    if (definition.server_only && options_.trust == Trust::client) {
      return report(definition.key, operation, "the atom is server-only, and the adapter is a client's");
    }
    if (!definition.type.write) {
      return report(definition.key, operation, std::string(definition.type.name) + " has no codec");
    }
    attempt(definition.key, operation, [&] {
      JsonWriter writer;
      definition.type.write(value, writer);
      adapter_.set(std::string_view(definition.key), writer.text());
      for (const std::string& path : writer.left_out()) {
        report(definition.key, operation, place(definition, path) + "a number that JSON does not have");
      }
    });
  }
  template <class Work>
  void attempt(const std::string& key, PersistFailure::Operation operation, Work work) {
    try {
      work();
    } catch (const std::exception& error) {
      report(key, operation, error.what());
    } catch (...) {
      report(key, operation, "the adapter threw something that is no std::exception");
    }
  }
  void report(const std::string& key, PersistFailure::Operation operation, std::string reason) {
    constexpr std::size_t most = 100;
    if (failures_.size() == most) failures_.erase(failures_.begin());
    failures_.push_back({key, operation, std::move(reason)});
  }

  AtomStore& store_;
  Adapter& adapter_;
  const PersistOptions options_;
  std::vector<PersistFailure> failures_;
  std::vector<Subscription> begun_;
  bool is_starting_ = true;
};

}  // namespace detail

/// What `store.persist_with(adapter, options)` does. The adapter must outlive the store. A store has one adapter: a
/// second one is an Error. Silent updates are not saved. The result lists what failed, and lives as long as the store.
template <persist_adapter Adapter>
const std::vector<PersistFailure>& start_persisting(AtomStore& store, Adapter& adapter,
                                                    const PersistOptions& options = {}) {
  using Hook = detail::PersistHook<Adapter>;
  Hook::require_none(store);
  void* const place = store.resource()->allocate(sizeof(Hook), alignof(Hook));
  return (::new (place) Hook(store, adapter, options))->start();
}

}  // namespace atom::inline v0_1
