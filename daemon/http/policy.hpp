// Which URLs a role may call (http.allow), and which addresses those may lead to. Deny by default. Pure and
// immutable: a reload makes a new one.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "daemon/http/address.hpp"
#include "daemon/http/url.hpp"
#include "dsl/expected.hpp"

namespace durabled::daemon {

// What a message may show of a URL. Nothing of a part that was made with a secret is shown, in no form: not its
// beginning, not in lower case, not as the address that a number means.
enum class UrlShown { kAll, kOrigin, kNothing };

// What the entries that match a URL permit, taken together.
struct HttpPermit {
  std::vector<AddressRange> ranges;  // private addresses that may be connected to
  int redirects = 0;                 // the largest number of any matching entry

  // Whether a connection to `address` may be opened. A name's addresses are known only then, and may be
  // others each time, so this is asked for the very address that the socket is for (DNS rebinding).
  bool allows(const IpAddress& address) const;
};

class HttpPolicy {
 public:
  // Error: names the entry and what is wrong with it (scheme, host, port, path prefix, address range).
  static Expected<std::shared_ptr<const HttpPolicy>, std::string> create(const config::Config::Http& config);

  // Entries match by scheme, host, port, path prefix and role.
  //   host         "*" is any name; a leading "*." is one or more labels; another * stays within its label.
  //   An IP
  //                address in a URL is allowed only by an entry that names it outright.
  //   path_prefix  whole segments: "/v1" allows /v1 and /v1/x, not /v10. A path that leaves the prefix once
  //   it is decoded
  //                (up to three times), its backslashes turned and its slashes merged, is not in it.
  //                A path with escapes that servers read differently (encoded dots, slashes, backslashes,
  //                control characters, bytes that are not UTF-8) is in no prefix but "/".
  // Error: "… not in the allowed …" with the lines of yaml that would allow it, or "bare IP …"; as far as
  // `shown` permits.
  Expected<HttpPermit, std::string> check(const HttpUrl& url, std::string_view role,
                                          UrlShown shown = UrlShown::kAll) const;

 private:
  struct Entry {
    std::string scheme;
    std::string host;  // lower case
    int port = 0;
    std::string path_prefix;
    std::vector<std::string> roles;
    std::vector<AddressRange> ranges;
    int redirects = 0;
  };
  // How far an entry goes along with a URL; the entry that goes farthest shapes the error.
  enum class Match { kNothing, kHost, kSchemeAndPort, kPath, kAll };

  static Expected<Entry, std::string> make_entry(const config::Config::Http::Allow& allow);
  static Match match(const Entry& entry, const HttpUrl& url, std::string_view role);
  static std::string refusal(Match best, const HttpUrl& url, std::string_view role, UrlShown shown);

  std::vector<Entry> entries_;
};

// The message for a connection to `place` that was not opened, and how to allow it. The address is in it only
// where the URL itself has it: what a name means inside the daemon's network is not the role's to learn.
std::string address_refusal(const std::string& place, const HttpUrl& url, const IpAddress& address,
                            UrlShown shown);

}  // namespace durabled::daemon
