#include "daemon/dev_access.hpp"

#include <pwd.h>
#include <unistd.h>

#include <sstream>
#include <stdexcept>
#include <system_error>

#include "daemon/random_bytes.hpp"

namespace durabled::daemon {
namespace {

constexpr const char* kPassfile = "passfile";
constexpr const char* kLoopback = "127.0.0.1:*:*:";
constexpr int kFirstWithAllInMaps = 16;
constexpr std::size_t kPasswordBytes = 16;

std::string password_in(const std::string& passfile, const std::string& role) {
  const std::string beginning = kLoopback + role + ':';
  std::istringstream lines(passfile);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(beginning)) return line.substr(beginning.size());
  }
  return "";
}

}  // namespace

std::string dev_hba(int server_major) {
  const std::string local = server_major >= kFirstWithAllInMaps ? "peer map=dev" : "trust";
  return "# Written by durabled dev at each start.\n"
         "local all all " +
         local +
         "\n"
         "host all postgres 127.0.0.1/32 reject\n"
         "host all all 127.0.0.1/32 scram-sha-256\n";
}

std::string dev_ident(int server_major) {
  std::string text = "# Written by durabled dev at each start.\n";
  if (server_major < kFirstWithAllInMaps) return text;
  const passwd* user = getpwuid(geteuid());
  if (user == nullptr) {
    throw std::runtime_error("user " + std::to_string(geteuid()) +
                             " has no name in the system's list of users, which PostgreSQL needs");
  }
  std::string quoted;
  for (const char* c = user->pw_name; *c != '\0'; ++c)
    quoted += *c == '"' ? std::string("\"\"") : std::string(1, *c);
  return text + "dev \"" + quoted + "\" all\n";
}

std::map<std::string, std::string> dev_passwords(const PrivateFolder& folder,
                                                 const std::vector<std::string>& roles) {
  const std::string before = folder.read(kPassfile);
  std::map<std::string, std::string> passwords;
  std::string text;
  for (const std::string& role : roles) {
    const std::string known = password_in(before, role);
    const std::string password = known.empty() ? random_hex(kPasswordBytes) : known;
    text += kLoopback + role + ':' + password + "\nlocalhost:*:*:" + role + ':' + password + '\n';
    passwords[role] = password;
  }
  if (text != before) folder.write(kPassfile, text);
  return passwords;
}

}  // namespace durabled::daemon
