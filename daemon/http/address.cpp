#include "daemon/http/address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <charconv>
#include <cstring>
#include <vector>

#include "dsl/assert.hpp"

namespace durabled::daemon {
namespace {

struct SpecialRange {
  const char* cidr;
  const char* what;
};

constexpr SpecialRange kSpecialRanges[] = {
    // Metadata first, so that an error names the more telling reason.
    {"169.254.169.254/32", "cloud metadata"},
    {"100.100.100.200/32", "cloud metadata"},
    {"168.63.129.16/32", "cloud metadata"},
    {"192.0.0.192/32", "cloud metadata"},
    {"fd00:ec2::254/128", "cloud metadata"},
    {"fd20:ce::254/128", "cloud metadata"},
    {"0.0.0.0/8", "unspecified"},
    {"10.0.0.0/8", "private"},
    {"100.64.0.0/10", "carrier-grade NAT"},
    {"127.0.0.0/8", "loopback"},
    {"169.254.0.0/16", "link-local"},
    {"172.16.0.0/12", "private"},
    {"192.0.0.0/24", "reserved"},
    {"192.0.2.0/24", "documentation"},
    {"192.88.99.0/24", "6to4 relay"},
    {"192.168.0.0/16", "private"},
    {"198.18.0.0/15", "benchmarking"},
    {"198.51.100.0/24", "documentation"},
    {"203.0.113.0/24", "documentation"},
    {"224.0.0.0/4", "multicast"},
    {"240.0.0.0/4", "reserved"},
    {"::/128", "unspecified"},
    {"::1/128", "loopback"},
    {"::/96", "IPv4-compatible"},
    {"64:ff9b:1::/48", "local NAT64"},
    {"100::/64", "discard-only"},
    {"2001::/32", "Teredo"},
    {"2001::/23", "reserved"},
    {"2001:db8::/32", "documentation"},
    {"2002::/16", "6to4"},
    {"3fff::/20", "documentation"},
    {"fc00::/7", "private"},
    {"fe80::/10", "link-local"},
    {"fec0::/10", "site-local"},
    {"ff00::/8", "multicast"},
};

struct ParsedRange {
  AddressRange range;
  const char* what;
};

AddressRange must_parse(const char* cidr) {
  const auto range = AddressRange::parse(cidr);
  DURABLED_ASSERT(range.has_value());
  return *range;
}

const std::vector<ParsedRange>& special_ranges() {
  static const std::vector<ParsedRange> ranges = [] {
    std::vector<ParsedRange> all;
    for (const auto& [cidr, what] : kSpecialRanges) all.push_back({must_parse(cidr), what});
    return all;
  }();
  return ranges;
}

// One number of a loosely written address: decimal, 0octal or 0xhex.
std::optional<std::uint64_t> loose_number(std::string_view text) {
  int base = 10;
  if (text.size() > 1 && text[0] == '0') {
    base = text[1] == 'x' || text[1] == 'X' ? 16 : 8;
    text.remove_prefix(base == 16 ? 2 : 1);
    if (text.empty()) return 0;  // "0x" is zero to browsers
  }
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string terminated(text);
  IpAddress address;
  if (inet_pton(AF_INET, terminated.c_str(), address.bytes_.data()) == 1) return address;
  address.is_v4_ = false;
  if (inet_pton(AF_INET6, terminated.c_str(), address.bytes_.data()) == 1) return address;
  return std::nullopt;
}

std::optional<IpAddress> IpAddress::parse_loose_v4(std::string_view text) {
  std::vector<std::uint64_t> numbers;
  while (true) {
    const std::size_t dot = text.find('.');
    const auto number = loose_number(text.substr(0, dot));
    if (!number || numbers.size() == 4) return std::nullopt;
    numbers.push_back(*number);
    if (dot == std::string_view::npos) break;
    text.remove_prefix(dot + 1);
  }
  // All numbers but the last are one byte; the last fills what is left.
  const std::size_t leading = numbers.size() - 1;
  std::uint64_t value = numbers.back();
  if (value >> (8 * (4 - leading)) != 0) return std::nullopt;
  for (std::size_t i = 0; i < leading; ++i) {
    if (numbers[i] > 255) return std::nullopt;
    value |= numbers[i] << (8 * (3 - i));
  }
  IpAddress address;
  for (std::size_t i = 0; i < 4; ++i) address.bytes_[i] = static_cast<std::uint8_t>(value >> (8 * (3 - i)));
  return address;
}

std::optional<IpAddress> IpAddress::from_sockaddr(const sockaddr* address, std::size_t length) {
  IpAddress result;
  if (address->sa_family == AF_INET && length >= sizeof(sockaddr_in)) {
    sockaddr_in v4;
    std::memcpy(&v4, address, sizeof v4);
    std::memcpy(result.bytes_.data(), &v4.sin_addr, 4);
    return result;
  }
  if (address->sa_family == AF_INET6 && length >= sizeof(sockaddr_in6)) {
    sockaddr_in6 v6;
    std::memcpy(&v6, address, sizeof v6);
    std::memcpy(result.bytes_.data(), &v6.sin6_addr, 16);
    result.is_v4_ = false;
    return result;
  }
  return std::nullopt;
}

std::string IpAddress::to_string() const {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(is_v4_ ? AF_INET : AF_INET6, bytes_.data(), text, sizeof text);
  return text;
}

std::optional<IpAddress> IpAddress::embedded_v4() const {
  static const AddressRange kMapped = must_parse("::ffff:0:0/96");
  static const AddressRange kNat64 = must_parse("64:ff9b::/96");
  if (is_v4_ || (!kMapped.contains(*this) && !kNat64.contains(*this))) return std::nullopt;
  IpAddress inner;
  std::memcpy(inner.bytes_.data(), bytes_.data() + 12, 4);
  return inner;
}

std::optional<AddressRange> AddressRange::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto base = IpAddress::parse(text.substr(0, slash));
  if (!base) return std::nullopt;
  const int width = base->is_v4() ? 32 : 128;
  AddressRange range;
  range.base_ = *base;
  range.prefix_ = width;
  if (slash == std::string_view::npos) return range;
  const std::string_view digits = text.substr(slash + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), range.prefix_);
  if (error != std::errc{} || end != digits.data() + digits.size() || range.prefix_ < 0 ||
      range.prefix_ > width) {
    return std::nullopt;
  }
  return range;
}

bool AddressRange::contains(const IpAddress& address) const {
  if (address.is_v4_ != base_.is_v4_) return false;
  const auto whole = static_cast<std::size_t>(prefix_ / 8);
  if (std::memcmp(address.bytes_.data(), base_.bytes_.data(), whole) != 0) return false;
  const int rest = prefix_ % 8;
  return rest == 0 || (address.bytes_[whole] ^ base_.bytes_[whole]) >> (8 - rest) == 0;
}

std::string_view special_purpose(const IpAddress& address) {
  if (const auto inner = address.embedded_v4()) return special_purpose(*inner);
  for (const auto& [range, what] : special_ranges()) {
    if (range.contains(address)) return what;
  }
  // IPv6 has one block of public addresses so far; whatever else is written there is nobody's.
  static const AddressRange kGlobal = must_parse("2000::/3");
  return address.is_v4() || kGlobal.contains(address) ? "" : "reserved";
}

}  // namespace durabled::daemon
