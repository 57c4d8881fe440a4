// Who may connect: the trusted proxies.
#pragma once

#include <string>
#include <vector>

namespace durabled::daemon::web {

// Whether each is "unix" or a CIDR ("10.0.0.0/8", "::1/128").
bool are_valid_peers(const std::vector<std::string>& trusted);
// `address`: of a peer, or "unix" of one that came by a Unix socket.
bool is_trusted(const std::string& address, const std::vector<std::string>& trusted);
bool is_loopback(const std::string& address);

}  // namespace durabled::daemon::web
