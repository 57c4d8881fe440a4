// A fresh directory under $TMPDIR (or /tmp), removed with everything in it at the end.
#pragma once

#include <filesystem>
#include <string>

namespace durabled::test {

class TemporaryDirectory {
 public:
  // `prefix` makes it recognisable. Throws std::system_error. Paths stay short enough for Unix sockets in it
  // as long as $TMPDIR is.
  explicit TemporaryDirectory(const std::string& prefix);
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// The whole of a file as text; "" when it is not there.
std::string read_file(const std::filesystem::path& path);

// Creates or replaces a file. Throws std::runtime_error.
void write_file(const std::filesystem::path& path, const std::string& text);

}  // namespace durabled::test
