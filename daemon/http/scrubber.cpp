#include "daemon/http/scrubber.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <compare>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>

#include "daemon/http/encoding.hpp"
#include "dsl/value/utf8.hpp"

namespace durabled::daemon {
namespace {

constexpr std::size_t kShort = 4;  // bytes; shorter values are found as whole words only

// What some characters of a text may mean: the bytes, and how many characters say so.
struct Meaning {
  std::string bytes;
  std::size_t length;
};

std::optional<std::uint32_t> number(std::string_view digits, int base) {
  std::uint32_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto read = std::from_chars(digits.data(), end, value, base);
  return !digits.empty() && read.ptr == end ? std::optional(value) : std::nullopt;
}

std::string utf8(std::uint32_t point) {
  std::string text;
  dsl::append_utf8(text, point);
  return text;
}

std::optional<Meaning> percent_escape(std::string_view text) {
  if (text.size() < 3 || text.front() != '%') return std::nullopt;
  const auto value = number(text.substr(1, 2), 16);
  return value ? std::optional(Meaning{{static_cast<char>(*value)}, 3}) : std::nullopt;
}

// "%25XX", the escape of an escape.
std::optional<Meaning> escaped_escape(std::string_view text) {
  if (text.substr(0, 3) != "%25") return std::nullopt;
  auto inner = percent_escape('%' + std::string(text.substr(3, 2)));
  if (inner) inner->length = 5;
  return inner;
}

std::optional<Meaning> json_escape(std::string_view text) {
  constexpr std::string_view kNames = "nrtbf/\"\\'", kBytes = "\n\r\t\b\f/\"\\'";
  if (text.size() < 2) return std::nullopt;
  if (const auto at = kNames.find(text[1]); at != std::string_view::npos) return Meaning{{kBytes[at]}, 2};
  if (text[1] != 'u' || text.size() < 6) return std::nullopt;
  const auto unit = number(text.substr(2, 4), 16);
  if (!unit) return std::nullopt;
  const bool high = *unit >= 0xD800 && *unit < 0xDC00;
  if (high && text.size() >= 12 && text.substr(6, 2) == "\\u") {
    const auto low = number(text.substr(8, 4), 16);
    if (low && *low >= 0xDC00 && *low < 0xE000)
      return Meaning{utf8(0x10000 + ((*unit - 0xD800) << 10) + (*low - 0xDC00)), 12};
  }
  return Meaning{utf8(*unit), 6};
}

std::optional<Meaning> html_entity(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, char>, 5> kNames{
      {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}}};
  constexpr std::size_t kLongest = 12;
  const std::size_t end = text.substr(0, kLongest).find(';');
  if (end == std::string_view::npos) return std::nullopt;
  std::string_view name = text.substr(1, end - 1);
  for (const auto& [known, byte] : kNames) {
    if (equals_ignoring_case(name, known)) return Meaning{{byte}, end + 1};
  }
  if (!name.starts_with('#')) return std::nullopt;
  name.remove_prefix(1);
  const bool hexadecimal = name.starts_with('x') || name.starts_with('X');
  const auto point = hexadecimal ? number(name.substr(1), 16) : number(name, 10);
  return point ? std::optional(Meaning{utf8(*point), end + 1}) : std::nullopt;
}

bool is_escape(char c) {
  return c == '%' || c == '\\' || c == '&' || c == '+';
}

std::optional<Meaning> escape_at(std::string_view text) {
  switch (text.front()) {
    case '%':
      return percent_escape(text);
    case '\\':
      return json_escape(text);
    case '&':
      return html_entity(text);
    case '+':
      return Meaning{" ", 1};
    default:
      return std::nullopt;
  }
}

bool continues(std::string_view value, std::string_view bytes) {
  return value.size() >= bytes.size() && equals_ignoring_case(value.substr(0, bytes.size()), bytes);
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

struct Place {
  std::size_t at = 0, found = 0;  // characters of the text, bytes of the value
  auto operator<=>(const Place&) const = default;
};

// Where the text may go on meaning the value: a character that may be an escape may also be itself.
struct Ways {
  std::array<Place, 3> to;
  std::size_t count = 0;
};

Ways ways_on(std::string_view text, std::string_view value, Place from) {
  Ways ways;
  const std::string_view rest = text.substr(from.at), wanted = value.substr(from.found);
  if (rest.empty() || wanted.empty()) return ways;
  if (continues(wanted, rest.substr(0, 1))) ways.to[ways.count++] = {from.at + 1, from.found + 1};
  if (!is_escape(rest.front())) return ways;
  for (const auto& escape : {escape_at(rest), escaped_escape(rest)}) {
    if (escape && continues(wanted, escape->bytes))
      ways.to[ways.count++] = {from.at + escape->length, from.found + escape->bytes.size()};
  }
  return ways;
}

// How many characters at the beginning of `text` mean `value`; 0: they do not. Follows the only way as long as there
// is one, then all of them, none twice from the same place.
std::size_t match(std::string_view text, std::string_view value) {
  Place place;
  Ways ways;
  while ((ways = ways_on(text, value, place)).count == 1) place = ways.to[0];
  if (ways.count == 0) return place.found == value.size() ? place.at : 0;
  std::set<Place> seen;
  std::vector<Place> open{place};
  std::size_t longest = 0;
  while (!open.empty()) {
    place = open.back();
    open.pop_back();
    if (place.found == value.size()) longest = std::max(longest, place.at);
    if (!seen.insert(place).second) continue;
    ways = ways_on(text, value, place);
    open.insert(open.end(), ways.to.begin(), ways.to.begin() + static_cast<std::ptrdiff_t>(ways.count));
  }
  return longest;
}

bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// Whether text[at, at + length) is a part of a longer word. The end of an escape such as %20 or \n before it does
// not count.
bool is_within_word(std::string_view text, std::size_t at, std::size_t length) {
  const bool after_escape =
      (at >= 3 && percent_escape(text.substr(at - 3, 3))) || (at >= 2 && text[at - 2] == '\\');
  const bool before = at > 0 && !after_escape && is_word(text[at - 1]);
  return before || (at + length < text.size() && is_word(text[at + length]));
}

}  // namespace

void SecretScrubber::add(std::string_view name, std::string_view value) {
  const bool known = std::any_of(secrets_.begin(), secrets_.end(),
                                 [&](const Secret& secret) { return secret.value == value; });
  if (value.empty() || known) return;
  secrets_.push_back({std::string(value), "{secret." + std::string(name) + "}"});
  std::stable_sort(secrets_.begin(), secrets_.end(), [](const Secret& one, const Secret& other) {
    return one.value.size() > other.value.size();
  });
  for (auto& places : by_first_) places.clear();
  for (std::size_t place = 0; place < secrets_.size(); ++place)
    by_first_[static_cast<unsigned char>(lower(secrets_[place].value.front()))].push_back(place);
}

const std::vector<std::size_t>& SecretScrubber::beginning_with(char byte) const {
  return by_first_[static_cast<unsigned char>(lower(byte))];
}

// How many characters from `at` on are a secret; 0: they are none of ours. The longest secret wins.
std::size_t SecretScrubber::find_at(std::string_view text, std::size_t at, const Secret*& found) const {
  const std::string_view rest = text.substr(at);
  std::size_t best = secrets_.size(), length = 0;
  const auto look = [&](char first) {
    for (const std::size_t place : beginning_with(first)) {
      if (place >= best) return;
      const Secret& secret = secrets_[place];
      const std::size_t matched = match(rest, secret.value);
      if (matched == 0 || (secret.value.size() < kShort && is_within_word(text, at, matched))) continue;
      best = place;
      length = matched;
      found = &secret;
    }
  };
  look(rest.front());
  if (!is_escape(rest.front())) return length;
  for (const auto& escape : {escape_at(rest), escaped_escape(rest)})
    if (escape) look(escape->bytes.front());
  return length;
}

std::string SecretScrubber::scrub(std::string_view text) const {
  if (secrets_.empty()) return std::string(text);
  std::string out;
  out.reserve(text.size());
  // One pass, so that a replacement is never searched itself.
  std::size_t copied = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Secret* secret = nullptr;
    const bool possible = is_escape(text[at]) || !beginning_with(text[at]).empty();
    const std::size_t length = possible ? find_at(text, at, secret) : 0;
    if (length == 0) {
      ++at;
      continue;
    }
    out += text.substr(copied, at - copied);
    out += secret->replacement;
    copied = at += length;
  }
  out += text.substr(copied);
  return out;
}

}  // namespace durabled::daemon
