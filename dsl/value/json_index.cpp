#include "dsl/value/json_index.hpp"

#include <algorithm>
#include <functional>
#include <limits>

#include "dsl/value/characters.hpp"
#include "dsl/value/json_slice.hpp"

namespace durabled::dsl {
namespace {

// Smaller containers are walked each time.
constexpr std::size_t kSmall = 512;

std::uint32_t hash_of(std::string_view name) {
  return static_cast<std::uint32_t>(std::hash<std::string_view>{}(name));
}

std::optional<std::size_t> element_number(const std::string& part) {
  const bool is_number = !part.empty() && part.size() < 10 && std::all_of(part.begin(), part.end(), is_digit);
  return is_number ? std::optional(std::stoul(part)) : std::nullopt;
}

}  // namespace

const JsonIndex::Container& JsonIndex::container_at(std::string_view container) {
  const auto [found, is_new] = containers_.try_emplace(container.data());
  Container& made = found->second;
  if (!is_new) return made;
  const bool is_object = json_kind(container) == JsonKind::kObject;
  const auto offset = [this](std::string_view slice) {
    return static_cast<std::uint32_t>(slice.data() - text_.data());
  };
  for (JsonWalker walker(container); walker.next();) {
    const std::uint32_t begin = offset(walker.value());
    const auto end = static_cast<std::uint32_t>(begin + walker.value().size());
    made.entries.push_back(
        {is_object ? hash_of(walker.key()) : 0, is_object ? offset(walker.raw_key()) : 0, begin, end});
  }
  if (is_object) {
    std::stable_sort(made.entries.begin(), made.entries.end(),
                     [](const Entry& a, const Entry& b) { return a.hash < b.hash; });
  }
  return made;
}

std::optional<std::string_view> JsonIndex::part(std::string_view container, const std::string& part) {
  const JsonKind kind = json_kind(container);
  const auto number = element_number(part);
  if (kind != JsonKind::kObject && (kind != JsonKind::kArray || !number)) return std::nullopt;
  if (container.size() < kSmall || text_.size() > std::numeric_limits<std::uint32_t>::max())
    return kind == JsonKind::kObject ? json_member(container, part) : json_element(container, *number);
  const std::vector<Entry>& entries = container_at(container).entries;
  const auto value_of = [this](const Entry& entry) {
    return text_.substr(entry.begin, entry.end - entry.begin);
  };
  if (kind == JsonKind::kArray)
    return *number < entries.size() ? std::optional(value_of(entries[*number])) : std::nullopt;
  const std::uint32_t hash = hash_of(part);
  auto entry = std::upper_bound(entries.begin(), entries.end(), hash,
                                [](std::uint32_t wanted, const Entry& e) { return wanted < e.hash; });
  while (entry != entries.begin() && (--entry)->hash == hash) {
    const std::string_view key = text_.substr(entry->key_begin, entry->begin - entry->key_begin);
    if (decode_json_string(key.substr(0, key.rfind('"') + 1)) == part) return value_of(*entry);
  }
  return std::nullopt;
}

}  // namespace durabled::dsl
