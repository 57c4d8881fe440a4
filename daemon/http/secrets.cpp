#include "daemon/http/secrets.hpp"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "daemon/secret_file.hpp"

namespace durabled::daemon {
namespace {

constexpr std::string_view kOpening = "{secret.";

bool is_letter(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// A secret that is there but cannot be read is not looked for elsewhere: the next place may hold another
// one's.
Unexpected<std::string> unreadable(const std::string& secret, const std::string& place,
                                   const std::string& problem) {
  return Unexpected{"secret " + secret + " cannot be read from " + place + ": " + problem};
}

}  // namespace

bool is_secret_name(std::string_view name) {
  return !name.empty() && is_letter(name.front()) &&
         std::all_of(name.begin(), name.end(), [](char c) { return is_letter(c) || is_digit(c); });
}

Expected<SecretText, std::string> SecretText::parse(std::string_view text) {
  SecretText result;
  while (true) {
    const std::size_t start = text.find(kOpening);
    const std::size_t end = start == std::string_view::npos ? start : text.find('}', start);
    if (end == std::string_view::npos) break;
    const std::string name(text.substr(start + kOpening.size(), end - start - kOpening.size()));
    if (!is_secret_name(name)) {
      return Unexpected{
          "\"" + name.substr(0, 64) +
          "\" is not a valid name of a secret: {secret.NAME} takes letters, digits and underscores"};
    }
    if (start > 0) result.pieces_.push_back({false, std::string(text.substr(0, start))});
    result.pieces_.push_back({true, name});
    text.remove_prefix(end + 1);
  }
  if (!text.empty()) result.pieces_.push_back({false, std::string(text)});
  return result;
}

bool SecretText::has_secrets() const {
  return std::any_of(pieces_.begin(), pieces_.end(), [](const Piece& piece) { return piece.is_secret; });
}

std::string SecretText::display() const {
  std::string out;
  for (const Piece& piece : pieces_) out += piece.is_secret ? "{secret." + piece.text + "}" : piece.text;
  return out;
}

Expected<std::string, std::string> SecretStore::find(std::string_view name, std::string_view role) const {
  if (!is_secret_name(name))
    return Unexpected{"\"" + std::string(name) + "\" is not a valid name of a secret"};
  const std::string secret(name);
  struct Place {
    std::string path;
    std::string name;
  };
  std::vector<Place> places;
  const std::string own = "the directory of role " + std::string(role) + " in http.secrets_directory";
  if (!directory_.empty()) {
    if (is_path_component(role)) places.push_back({directory_ + "/" + std::string(role) + "/" + secret, own});
    places.push_back({directory_ + "/" + secret, "http.secrets_directory"});
  }
  std::string searched = directory_.empty() ? "http.secrets_directory (not set)" : "";
  for (const Place& place : places) {
    auto file = read_secret_file(place.path);
    if (!file.problem.empty()) return unreadable(secret, place.name, file.problem);
    if (file.text) return std::move(*file.text);
    searched += (searched.empty() ? "" : ", ") + place.name;
  }
  const std::string variable = "DURABLED_SECRET_" + secret;
  if (const char* text = std::getenv(variable.c_str())) return std::string(text);
  searched += ", environment variable " + variable;
  const char* credentials = std::getenv("CREDENTIALS_DIRECTORY");
  if (credentials != nullptr && *credentials != 0) {
    auto file = read_secret_file(std::string(credentials) + "/" + secret);
    if (!file.problem.empty()) return unreadable(secret, "$CREDENTIALS_DIRECTORY", file.problem);
    if (file.text) return std::move(*file.text);
    searched += ", $CREDENTIALS_DIRECTORY";
  } else {
    searched += ", $CREDENTIALS_DIRECTORY (not set)";
  }
  return Unexpected{"secret " + secret + " not found for role " + std::string(role) +
                    "; looked in: " + searched};
}

Expected<std::string, std::string> reveal(const SecretText& text, std::string_view role,
                                          const SecretStore& store, SecretScrubber& scrubber) {
  std::string out;
  for (const SecretText::Piece& piece : text.pieces()) {
    if (!piece.is_secret) {
      out += piece.text;
      continue;
    }
    auto value = store.find(piece.text, role);
    if (!value) return Unexpected{value.error()};
    scrubber.add(piece.text, *value);
    out += *value;
  }
  return out;
}

}  // namespace durabled::daemon
