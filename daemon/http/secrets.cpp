#include "daemon/http/secrets.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace durabled::daemon {
namespace {

constexpr std::string_view kOpening = "{secret.";
constexpr std::size_t kMaxSecretBytes = 64 << 10;

bool is_letter(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// A role's name is the database's to choose, so it becomes a path only when it cannot lead anywhere else.
bool is_path_component(std::string_view role) {
  return !role.empty() && role != "." && role != ".." && role.find('/') == std::string_view::npos &&
         role.find('\0') == std::string_view::npos;
}

class FileHandle {
 public:
  explicit FileHandle(const std::string& path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~FileHandle() {
    if (fd_ >= 0) close(fd_);
  }
  FileHandle(const FileHandle&) = delete;
  FileHandle& operator=(const FileHandle&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

struct FileRead {
  std::optional<std::string> text;
  std::string problem;  // why there is none; empty: no such file
};

FileRead read_secret_file(const std::string& path) {
  const FileHandle file(path);
  if (file.get() < 0) return {{}, errno == ENOENT || errno == ENOTDIR ? "" : std::strerror(errno)};
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return {{}, std::strerror(errno)};
  if (S_ISDIR(status.st_mode)) return {};  // a role's directory has the name of a role, not of a secret
  if (!S_ISREG(status.st_mode)) return {{}, "not a regular file"};
  std::string text(kMaxSecretBytes + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = read(file.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return {{}, std::strerror(errno)};
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > kMaxSecretBytes) return {{}, "longer than 64 KiB"};
  text.resize(size);
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  return {std::move(text), ""};
}

// A secret that is there but cannot be read is not looked for elsewhere: the next place may hold another
// one's.
Unexpected<std::string> unreadable(const std::string& secret, const std::string& path,
                                   const std::string& problem) {
  return Unexpected{"secret " + secret + " cannot be read from " + path + ": " + problem};
}

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (is_letter(c) || is_digit(c) || c == '-' || c == '.' || c == '~') {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

std::string json_escaped(std::string_view text) {
  const std::string quoted = boost::json::serialize(boost::json::string_view(text.data(), text.size()));
  return quoted.substr(1, quoted.size() - 2);
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
  std::vector<std::string> files;
  if (!directory_.empty()) {
    if (is_path_component(role)) files.push_back(directory_ + "/" + std::string(role) + "/" + secret);
    files.push_back(directory_ + "/" + secret);
  }
  std::string searched = directory_.empty() ? "http.secrets_directory (not set)" : "";
  for (const std::string& path : files) {
    auto file = read_secret_file(path);
    if (!file.problem.empty()) return unreadable(secret, path, file.problem);
    if (file.text) return std::move(*file.text);
    searched += (searched.empty() ? "" : ", ") + path;
  }
  const std::string variable = "DURABLED_SECRET_" + secret;
  if (const char* text = std::getenv(variable.c_str())) return std::string(text);
  searched += ", environment variable " + variable;
  if (const char* credentials = std::getenv("CREDENTIALS_DIRECTORY");
      credentials != nullptr && *credentials != 0) {
    const std::string path = std::string(credentials) + "/" + secret;
    auto file = read_secret_file(path);
    if (!file.problem.empty()) return unreadable(secret, path, file.problem);
    if (file.text) return std::move(*file.text);
    searched += ", " + path;
  } else {
    searched += ", $CREDENTIALS_DIRECTORY (not set)";
  }
  return Unexpected{"secret " + secret + " not found for role " + std::string(role) +
                    "; looked in: " + searched};
}

void SecretScrubber::add(std::string_view name, std::string_view value) {
  const std::string replacement = "{secret." + std::string(name) + "}";
  add_needle(std::string(value), replacement);
  add_needle(percent_encoded(value), replacement);
  add_needle(json_escaped(value), replacement);
}

void SecretScrubber::add_needle(std::string value, const std::string& replacement) {
  const bool known =
      std::any_of(needles_.begin(), needles_.end(), [&](const Needle& n) { return n.value == value; });
  if (value.empty() || known) return;
  needles_.push_back({std::move(value), replacement});
  std::stable_sort(needles_.begin(), needles_.end(),
                   [](const Needle& a, const Needle& b) { return a.value.size() > b.value.size(); });
}

std::string SecretScrubber::scrub(std::string_view text, std::size_t min_length) const {
  if (needles_.empty()) return std::string(text);
  std::string out;
  out.reserve(text.size());
  // One pass, so that a replacement is never searched itself.
  while (!text.empty()) {
    const auto hit = std::find_if(needles_.begin(), needles_.end(), [&](const Needle& needle) {
      return needle.value.size() >= min_length && text.starts_with(needle.value);
    });
    if (hit == needles_.end()) {
      out += text.front();
      text.remove_prefix(1);
    } else {
      out += hit->replacement;
      text.remove_prefix(hit->value.size());
    }
  }
  return out;
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
