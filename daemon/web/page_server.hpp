// durabled ui: a web page over the schema, in a process of its own that has no rights of its own. Every read and every
// action is a transaction of the person's role (docs/web-api.md, docs/security.md).
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace durabled::daemon::web {

enum class Mode {
  kPersonal,  // the credentials of whoever runs it, on the loopback interface
  kLogin,     // each person's database role and password
  kProxy,     // a proxy in front of it says in a header who it is
};

struct Options {
  Mode mode = Mode::kPersonal;
  std::string conninfo;
  std::string address = "127.0.0.1";  // or "unix:/path"
  int port = 0;                       // 0: a free one
  std::string base_path = "/";
  std::vector<std::string> hosts;    // what Host may be, beside the address itself
  std::vector<std::string> trusted;  // proxies: CIDRs, or "unix"; empty: none, and nobody else is kept out
  std::string user_header;           // of kProxy
  bool read_only = false;
  bool open = false;  // a browser, on the link
};

// Whether the page is part of this program.
bool is_included();

// Serves until SIGTERM or SIGINT; returns the exit code. `say`: gets what a person at the terminal is to read. Throws
// std::runtime_error when it cannot begin: bad options, an address in use, no page in this program.
int serve(const Options& options, const std::function<void(const std::string&)>& say);

}  // namespace durabled::daemon::web
