#include "daemon/private_folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <stdexcept>
#include <system_error>

namespace durabled::daemon {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kOthersMayWrite = S_IWGRP | S_IWOTH;

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

[[noreturn]] void refuse(const std::string& why) {
  throw std::runtime_error(why + "; give another --dir");
}

std::string user_name(uid_t user) {
  const passwd* entry = getpwuid(user);
  return entry != nullptr ? entry->pw_name : "user " + std::to_string(user);
}

// Whoever may rename the folder could put another one in its place while the server starts. Root may use a
// checkout that belongs to somebody: nothing of root's is written by path.
void check_directories_above(const fs::path& path, uid_t owner) {
  for (fs::path above = path.parent_path();; above = above.parent_path()) {
    struct stat status {};
    if (stat(above.c_str(), &status) != 0) fail(above.string());
    if ((status.st_mode & S_IWOTH) != 0 && (status.st_mode & S_ISVTX) == 0)
      refuse("everybody may write to " + above.string() + ", and so replace " + path.string());
    const bool trusted = status.st_uid == 0 || status.st_uid == geteuid() || status.st_uid == owner;
    if (!trusted && geteuid() != 0)
      refuse(above.string() + " belongs to " + user_name(status.st_uid) + ", who could replace " +
             path.string());
    if (above == above.parent_path()) return;
  }
}

OpenFile open_directory(const fs::path& path) {
  fs::create_directories(path.parent_path());
  if (mkdir(path.c_str(), S_IRWXU) != 0 && errno != EEXIST) fail("cannot make " + path.string());
  OpenFile directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (directory.number() < 0) {
    std::error_code none;
    if (fs::is_symlink(fs::symlink_status(path, none)))
      refuse(path.string() + " is a symbolic link, which is not followed");
    fail(path.string());
  }
  return directory;
}

std::set<std::string> files_in(int directory) {
  const int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> list(copy < 0 ? nullptr : fdopendir(copy), &closedir);
  if (!list) fail("cannot list the folder");
  std::set<std::string> names;
  while (const dirent* entry = readdir(list.get())) names.insert(entry->d_name);
  names.erase(".");
  names.erase("..");
  return names;
}

}  // namespace

OpenFile::~OpenFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

PrivateFolder::PrivateFolder(fs::path path, const std::optional<ServerUser>& owner,
                             const std::set<std::string>& known)
    : path_(std::move(path)),
      owner_(owner ? owner->uid : geteuid()),
      group_(owner ? owner->gid : getegid()),
      directory_(open_directory(path_)) {
  struct stat status {};
  if (fstat(directory_.number(), &status) != 0) fail(path_.string());
  if (status.st_uid != geteuid() && status.st_uid != owner_)
    refuse(path_.string() + " belongs to " + user_name(status.st_uid));
  check_directories_above(path_, owner_);
  const std::set<std::string> files = files_in(directory_.number());
  bool ours = files.empty();
  for (const std::string& name : known) ours = ours || files.contains(name);
  if (!ours) refuse(path_.string() + " holds other files");
  if (!files.empty() && (status.st_mode & kOthersMayWrite) != 0)
    refuse("others may write to " + path_.string());
  if (fchmod(directory_.number(), S_IRWXU) != 0 ||
      (status.st_uid != owner_ && fchown(directory_.number(), owner_, group_) != 0))
    fail("cannot make " + path_.string() + " private");
}

std::string PrivateFolder::read(const std::string& name, std::uintmax_t offset) const {
  constexpr std::size_t kMost = 64 << 10;
  const OpenFile file(
      openat(directory_.number(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (file.number() < 0 && errno == ENOENT) return "";
  struct stat status {};
  if (file.number() < 0 || fstat(file.number(), &status) != 0 || !S_ISREG(status.st_mode))
    refuse((path_ / name).string() + " is not an ordinary file");
  if (lseek(file.number(), static_cast<off_t>(offset), SEEK_SET) < 0) fail((path_ / name).string());
  std::string text;
  std::array<char, 4'096> part{};
  ssize_t size = 0;
  while (text.size() < kMost && (size = ::read(file.number(), part.data(), part.size())) > 0)
    text.append(part.data(), static_cast<std::size_t>(size));
  return text;
}

std::uintmax_t PrivateFolder::size(const std::string& name) const {
  struct stat status {};
  const bool there = fstatat(directory_.number(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  return there ? static_cast<std::uintmax_t>(status.st_size) : 0;
}

// Written aside and renamed: a link of that name is replaced, not followed.
void PrivateFolder::write(const std::string& name, const std::string& text) const {
  const std::string fresh = name + ".new";
  unlinkat(directory_.number(), fresh.c_str(), 0);
  const OpenFile file(openat(directory_.number(), fresh.c_str(),
                             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR));
  const bool written = file.number() >= 0 && fchmod(file.number(), S_IRUSR | S_IWUSR) == 0 &&
                       fchown(file.number(), owner_, group_) == 0 &&
                       ::write(file.number(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (!written || renameat(directory_.number(), fresh.c_str(), directory_.number(), name.c_str()) != 0)
    fail("cannot write " + (path_ / name).string());
}

OpenFile PrivateFolder::open_to_append(const std::string& name) const {
  OpenFile file(openat(directory_.number(), name.c_str(),
                       O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
                       S_IRUSR | S_IWUSR));
  struct stat status {};
  const bool ordinary = file.number() >= 0 && fstat(file.number(), &status) == 0 && S_ISREG(status.st_mode) &&
                        status.st_nlink == 1 && (status.st_uid == geteuid() || status.st_uid == owner_);
  if (!ordinary) refuse((path_ / name).string() + " is a link, or not a file of this user");
  return file;
}

}  // namespace durabled::daemon
