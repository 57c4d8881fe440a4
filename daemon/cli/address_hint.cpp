#include "daemon/cli/address_hint.hpp"

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "daemon/dev_server.hpp"

namespace durabled::daemon::cli {
namespace {

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

std::string percent_encoded(const std::string& text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF", kPlain = "-._~/";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x80 && std::isalnum(byte) != 0) || kPlain.find(c) != std::string_view::npos) {
      encoded += c;
    } else {
      encoded += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return encoded;
}

// The address of the `durabled dev` that runs here; "" when none does.
std::string dev_address() {
  const std::filesystem::path folder = DevOptions{}.directory;
  int process = 0, port = 0;
  std::ifstream(folder / "data" / "postmaster.pid") >> process;
  std::ifstream(folder / "port") >> port;
  const std::filesystem::path running = "/proc/" + std::to_string(process);
  if (process <= 0 || port <= 0 || !std::filesystem::exists(running)) return "";
  const std::string passfile = (std::filesystem::absolute(folder) / "passfile").lexically_normal().string();
  return "postgresql://app@127.0.0.1:" + std::to_string(port) +
         "/durabled?passfile=" + percent_encoded(passfile);
}

}  // namespace

std::string address_hint(const Invocation& invocation) {
  if (!invocation.conninfo().empty()) return "";
  for (const char* variable : {"PGHOST", "PGHOSTADDR", "PGSERVICE"})
    if (is_set(variable)) return "";
  const std::string dev = dev_address();
  if (!dev.empty()) return "\nhint: durabled dev runs in this folder; export DURABLED_DATABASE='" + dev + "'";
  return "\nhint: no database was named: use --database URI or $DURABLED_DATABASE, or start a private one "
         "with: " +
         invocation.program + " dev";
}

}  // namespace durabled::daemon::cli
