#include "daemon/docs/skill_folder.hpp"

#include <boost/uuid/name_generator.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>

#include "daemon/docs/documents.hpp"
#include "daemon/docs/topics.hpp"

namespace durabled::daemon::docs {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFolder = "skill/";
constexpr const char* kRecord = ".installed";

std::string hash_of(std::string_view text) {
  return to_string(boost::uuids::name_generator_sha1(boost::uuids::ns::url())(text.data(), text.size()));
}

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write(const fs::path& path, std::string_view text) {
  fs::create_directories(path.parent_path());
  fs::remove(path);  // a symbolic link is replaced, and not followed
  std::ofstream out(path, std::ios::binary);
  out << text << std::flush;
  if (!out) throw std::runtime_error(path.string() + ": cannot be written");
}

bool is_of_skill(const Document& document) {
  return document.path == "skill/SKILL.md" || document.path.starts_with("skill/references/");
}

// Lines of a hash and a path.
std::map<std::string, std::string> read_record(const fs::path& path) {
  std::map<std::string, std::string> record;
  std::ifstream in(path);
  for (std::string hash, file; in >> hash >> file;) record[file] = hash;
  return record;
}

}  // namespace

Installed install_skill(const std::string& directory, bool force) {
  const fs::path root(directory);
  const auto record = read_record(root / kRecord);
  Installed result;
  std::string new_record;
  std::vector<std::pair<fs::path, std::string>> changed;
  for (const Document& document : documents()) {
    if (!is_of_skill(document)) continue;
    const std::string file(document.path.substr(kFolder.size())), text = without_comments(document.text);
    new_record += hash_of(text) + ' ' + file + '\n';
    const fs::path path = root / file;
    const fs::file_status status = fs::symlink_status(path);
    const bool is_file = fs::is_regular_file(status);
    const std::string present = is_file ? read(path) : "";
    if (is_file && present == text) continue;
    const auto known = record.find(file);
    const bool is_ours = is_file && known != record.end() && known->second == hash_of(present);
    if (fs::exists(status) && !is_ours && !force) result.refused.push_back(path.string());
    changed.emplace_back(path, text);
  }
  if (!result.refused.empty()) return result;
  for (const auto& [path, text] : changed) {
    write(path, text);
    result.written.push_back(path.string());
  }
  write(root / kRecord, new_record);
  return result;
}

}  // namespace durabled::daemon::docs
