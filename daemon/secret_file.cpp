#include "daemon/secret_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace durabled::daemon {
namespace {

constexpr std::size_t kMaxSecretBytes = 64 << 10;

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

}  // namespace

bool is_path_component(std::string_view role) {
  return !role.empty() && role != "." && role != ".." && role.find('/') == std::string_view::npos &&
         role.find('\0') == std::string_view::npos;
}

SecretFile read_secret_file(const std::string& path) {
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

}  // namespace durabled::daemon
