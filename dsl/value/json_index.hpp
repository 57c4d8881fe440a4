// Where the members and elements of a JSON text's containers are: each container is walked once, at the first
// question about it, so that many references into a large value cost no more than reading it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace durabled::dsl {

// Not thread-safe. `text` must outlive it and be valid JSON.
class JsonIndex {
 public:
  explicit JsonIndex(std::string_view text) : text_(text) {}

  // What `part` leads to from `container`, a slice of the text: the last member of that name, as jsonb has it,
  // or the element of that index, counted from 0. nullopt when it does not exist.
  std::optional<std::string_view> part(std::string_view container, const std::string& part);

 private:
  // 32 bits each, so an index is seldom larger than its text.
  struct Entry {
    std::uint32_t hash;  // of a member's name
    std::uint32_t key_begin, begin, end;
  };
  struct Container {
    std::vector<Entry> entries;  // members by hash and position, elements by position
  };
  const Container& container_at(std::string_view container);

  std::string_view text_;
  std::unordered_map<const char*, Container> containers_;
};

}  // namespace durabled::dsl
