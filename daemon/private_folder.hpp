// A folder that belongs to one user and that nobody else can look into. Files in it are opened relative to the
// folder and never through a link, so that whoever prepared the path beforehand cannot have another file
// read, overwritten or appended to, not even by root.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>

#include "daemon/server_process.hpp"

namespace durabled::daemon {

// Owns a file descriptor.
class OpenFile {
 public:
  explicit OpenFile(int descriptor) : descriptor_(descriptor) {}
  ~OpenFile();
  OpenFile(OpenFile&& other) noexcept : descriptor_(other.descriptor_) { other.descriptor_ = -1; }
  OpenFile& operator=(OpenFile&&) = delete;
  int number() const { return descriptor_; }

 private:
  int descriptor_;
};

class PrivateFolder {
 public:
  // Opens the folder, or makes it with the directories above it. It then belongs to `owner` (nothing: to the
  // user of this process) and has mode 0700. Refused, with std::runtime_error: a folder of another user, a
  // symbolic link, a folder that others may write to, one with files of which none is in `known`, and one
  // below a directory whose owner or writers could replace it.
  PrivateFolder(std::filesystem::path path, const std::optional<ServerUser>& owner,
                const std::set<std::string>& known);

  const std::filesystem::path& path() const { return path_; }

  // The file's text from byte `offset` on, at most 64 KiB; "" when it is not there. Throws std::runtime_error
  // for anything but an ordinary file.
  std::string read(const std::string& name, std::uintmax_t offset = 0) const;
  // Its bytes; 0 when it is not there.
  std::uintmax_t size(const std::string& name) const;
  // Replaces the file. Mode 0600; it belongs to the folder's owner. Throws std::system_error.
  void write(const std::string& name, const std::string& text) const;
  // Makes the file where it is not there. Throws std::runtime_error for anything but an ordinary file with one
  // name that belongs to this user or the folder's owner.
  OpenFile open_to_append(const std::string& name) const;

 private:
  std::filesystem::path path_;
  uid_t owner_;
  gid_t group_;
  OpenFile directory_;
};

}  // namespace durabled::daemon
