#include "daemon/web/peers.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#include <optional>

namespace durabled::daemon::web {

namespace ip = boost::asio::ip;

namespace {

// The addresses of a CIDR; nothing where it is malformed.
template <typename Address, typename Network>
bool holds(const Network& network, const Address& address) {
  const auto first = network.network().to_bytes(), given = address.to_bytes();
  for (std::size_t bit = 0; bit < network.prefix_length(); ++bit) {
    const unsigned mask = 0x80U >> (bit % 8);
    if ((first[bit / 8] & mask) != (given[bit / 8] & mask)) return false;
  }
  return true;
}

// nullopt: the text is no CIDR.
std::optional<bool> fits(const std::string& cidr, const ip::address& address) {
  boost::system::error_code v4_error, v6_error;
  const auto v4 = ip::make_network_v4(cidr, v4_error);
  if (!v4_error) return address.is_v4() && holds(v4, address.to_v4());
  const auto v6 = ip::make_network_v6(cidr, v6_error);
  if (!v6_error) return address.is_v6() && holds(v6, address.to_v6());
  return std::nullopt;
}

ip::address plain(const std::string& text) {
  boost::system::error_code error;
  const ip::address address = ip::make_address(text, error);
  if (!error && address.is_v6() && address.to_v6().is_v4_mapped())
    return ip::make_address_v4(ip::v4_mapped, address.to_v6());
  return address;
}

}  // namespace

bool are_valid_peers(const std::vector<std::string>& trusted) {
  return std::all_of(trusted.begin(), trusted.end(),
                     [](const std::string& one) { return one == "unix" || fits(one, {}).has_value(); });
}

bool is_trusted(const std::string& address, const std::vector<std::string>& trusted) {
  return std::any_of(trusted.begin(), trusted.end(), [&](const std::string& one) {
    if (one == "unix" || address == "unix") return one == address;
    return fits(one, plain(address)).value_or(false);
  });
}

bool is_loopback(const std::string& address) {
  return address.starts_with("unix:") || plain(address).is_loopback();
}

}  // namespace durabled::daemon::web
