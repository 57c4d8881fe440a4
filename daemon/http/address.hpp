// IP addresses and which of them a workflow may never reach unasked: everything that is not the public
// internet. Pure; the ranges are IANA's special-purpose registries (RFC 6890 and its updates) and the clouds'
// metadata services.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

struct sockaddr;

namespace durabled::daemon {

class IpAddress {
 public:
  // Textbook spellings only: four decimal numbers, or RFC 4291 without brackets and zone.
  static std::optional<IpAddress> parse(std::string_view text);
  // As inet_aton takes them too: "127.1", "0x7f.1", "0177.0.0.1", "2130706433". IPv4 only.
  static std::optional<IpAddress> parse_loose_v4(std::string_view text);
  // nullopt for any family but IPv4 and IPv6, or when `length` is too short for it.
  static std::optional<IpAddress> from_sockaddr(const sockaddr* address, std::size_t length);

  bool is_v4() const { return is_v4_; }
  std::string to_string() const;
  // The IPv4 address inside a v4-mapped (::ffff:0:0/96) or NAT64 (64:ff9b::/96) one: where its packets end
  // up.
  std::optional<IpAddress> embedded_v4() const;

  bool operator==(const IpAddress&) const = default;

 private:
  friend class AddressRange;
  bool is_v4_ = true;
  std::array<std::uint8_t, 16> bytes_{};  // the first 4 when is_v4_
};

// A CIDR block.
class AddressRange {
 public:
  // "10.0.0.0/8", "fd00::/8", or one address. Bits behind the prefix are ignored.
  static std::optional<AddressRange> parse(std::string_view text);
  bool contains(const IpAddress& address) const;

 private:
  IpAddress base_;
  int prefix_ = 0;
};

// Why `address` is not public ("loopback", "private", "link-local", "cloud metadata", …); empty when it is.
// A v4-mapped or NAT64 address is judged by the IPv4 address in it; v4-compatible, 6to4, Teredo and local
// NAT64 (64:ff9b:1::/48) are never public.
std::string_view special_purpose(const IpAddress& address);

}  // namespace durabled::daemon
