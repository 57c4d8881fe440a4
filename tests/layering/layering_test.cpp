// Includes flow one way, and each third-party library stays in the room that uses it. This
// reads the sources, so that a wrong include fails a test and not a reviewer.
#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

const std::filesystem::path kSource = durabled::test::kSourceDirectory;

// A library, by how its includes begin, and the files that may use it, by how their paths begin.
struct Library {
  std::string name;
  std::vector<std::string> includes;
  std::vector<std::string> users;
};

const std::vector<Library>& libraries() {
  static const std::vector<Library> all{
      {"Boost.JSON", {"boost/json", "boost/system"}, {"dsl/", "store/", "daemon/"}},
      {"date", {"date/"}, {"dsl/value/"}},
      {"libpqxx", {"pqxx/"}, {"store/"}},
      {"libpq", {"libpq-fe.h", "libpq/", "libpq-events.h", "postgres_ext.h"}, {"store/"}},
      {"yaml-cpp", {"yaml-cpp/"}, {"config/"}},
      {"Asio and Beast", {"boost/asio", "boost/beast"}, {"daemon/"}},
      {"Boost.UUID", {"boost/uuid"}, {"daemon/"}},
      {"libcurl", {"curl/"}, {"daemon/"}},
      {"spdlog", {"spdlog/", "fmt/"}, {"daemon/"}},
      {"prometheus-cpp", {"prometheus/"}, {"daemon/"}},
      {"libsystemd", {"systemd/"}, {"daemon/"}},
      {"CLI11", {"CLI/"}, {"daemon/cli", "daemon/main.cpp"}},
  };
  return all;
}

// The rooms that each room may include, itself too. A room within another is judged as itself and as a part of it.
const std::map<std::string, std::set<std::string>>& rooms() {
  static const std::map<std::string, std::set<std::string>> all{
      {"dsl", {"dsl"}},
      {"dsl/value", {"dsl", "dsl/value"}},
      {"dsl/graph", {"dsl", "dsl/graph", "dsl/value"}},
      {"dsl/text", {"dsl", "dsl/text", "dsl/graph", "dsl/value"}},
      {"dsl/engine", {"dsl", "dsl/engine", "dsl/graph", "dsl/value"}},
      {"sql_schema", {"sql_schema"}},
      {"config", {"config"}},
      {"store", {"store", "dsl", "sql_schema"}},
      {"daemon", {"daemon", "store", "dsl", "sql_schema", "config"}},
  };
  return all;
}

// The headers of store/ that are about the client library itself and are included within store/ only.
const std::set<std::string> kStoreLibraryHeaders{
    "store/pqxx_compat.hpp",  "store/client_filter.hpp", "store/client_impl.hpp",
    "store/guard.hpp",        "store/locks.hpp",         "store/migration_files.hpp",
    "store/transaction.hpp",  "store/pipeline.hpp",      "store/result_reader.hpp",
    "store/schema_check.hpp", "store/step_failure.hpp",  "store/step_session_impl.hpp",
    "store/web_impl.hpp"};

bool begins_with_any(const std::string& text, const std::vector<std::string>& beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(),
                     [&](const auto& one) { return text.starts_with(one); });
}

std::string room_of(const std::string& path) {
  return path.substr(0, path.find('/'));
}

// "dsl/text" for "dsl/text/lexer.hpp"; "dsl" for "dsl/expected.hpp".
std::string inner_room_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

struct Include {
  std::string name;
  bool angled;
  int line;
};

std::vector<Include> includes_of(const std::string& text) {
  static const std::regex pattern(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"].*)");
  std::vector<Include> all;
  std::istringstream in(text);
  std::smatch match;
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (std::regex_match(line, match, pattern)) all.push_back({match[2], match[1] == "<", number});
  }
  return all;
}

std::string wrong_library(const std::string& path, const std::string& include) {
  const auto library = std::find_if(libraries().begin(), libraries().end(), [&](const Library& one) {
    return begins_with_any(include, one.includes);
  });
  if (library == libraries().end()) {
    // Left are the standard library's headers (no directory, no suffix) and the system's; dsl is pure and
    // sql_schema only data, so they use the former alone.
    const bool standard = include.find_first_of("./") == std::string::npos;
    const bool pure = room_of(path) == "dsl" || room_of(path) == "sql_schema";
    return pure && !standard ? "is not of the standard library" : "";
  }
  if (!begins_with_any(path, library->users)) return library->name + " does not belong here";
  const bool public_store_header = path.starts_with("store/") && path.ends_with(".hpp");
  if (public_store_header && (library->name == "libpqxx" || library->name == "libpq") &&
      !kStoreLibraryHeaders.contains(path)) {
    return library->name + " shows in a header of store/";
  }
  return "";
}

std::string wrong_room(const std::string& path, const std::string& include) {
  if (include.find('/') == std::string::npos)
    return "our own headers are included from the top: \"room/name.hpp\"";
  if (!rooms().contains(room_of(include))) return "is not in the list of rooms";
  if (!rooms().at(room_of(path)).contains(room_of(include)))
    return room_of(path) + " may not know " + room_of(include);
  const std::string inner = inner_room_of(path);
  if (room_of(path) == "dsl" && inner != "dsl" && !rooms().at(inner).contains(inner_room_of(include)))
    return inner + " may not know " + inner_room_of(include);
  if (kStoreLibraryHeaders.contains(include) && room_of(path) != "store") return "is private to store/";
  const bool shows = path.ends_with(".hpp") && !kStoreLibraryHeaders.contains(path);
  if (kStoreLibraryHeaders.contains(include) && shows) return "shows the library in a header";
  return "";
}

// "dsl/x.cpp:3: pqxx/pqxx: libpqxx does not belong here", one for each wrong include of the file at `path`.
std::vector<std::string> violations(const std::string& path, const std::string& text) {
  std::vector<std::string> all;
  for (const auto& [name, angled, line] : includes_of(text)) {
    // A library's header is judged as one however it is quoted.
    const bool ours = !angled && rooms().contains(room_of(name));
    const std::string library = ours ? "" : wrong_library(path, name);
    const std::string problem = !library.empty() || angled ? library : wrong_room(path, name);
    if (!problem.empty()) all.push_back(path + ":" + std::to_string(line) + ": " + name + ": " + problem);
  }
  return all;
}

std::vector<std::filesystem::path> sources_of(const std::string& room) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kSource / room)) {
    const auto suffix = entry.path().extension();
    if (entry.is_regular_file() && (suffix == ".hpp" || suffix == ".cpp")) files.push_back(entry.path());
  }
  return files;
}

}  // namespace

TEST_CASE("every include of every room goes the right way") {
  for (const auto& [room, allowed] : rooms()) {
    const auto files = sources_of(room);
    CHECK_FALSE(files.empty());
    for (const auto& file : files) {
      const std::string path = std::filesystem::relative(file, kSource).string();
      for (const auto& problem : violations(path, durabled::test::read_file(file))) FAIL_CHECK(problem);
    }
  }
}

TEST_CASE("a wrong include is found, with its file, line and reason") {
  struct Case {
    const char* path;
    const char* text;
    const char* problem;
  };
  for (const auto& [path, text, problem] : std::vector<Case>{
           {"dsl/a.cpp", "\n\n#include <pqxx/pqxx>\n",
            "dsl/a.cpp:3: pqxx/pqxx: libpqxx does not belong here"},
           {"dsl/a.cpp", "#include \"pqxx/pqxx\"\n", "libpqxx does not belong here"},
           {"dsl/a.cpp", "#include \"store/store.hpp\"\n", "dsl may not know store"},
           {"dsl/a.cpp", "#include \"config/config.hpp\"\n", "dsl may not know config"},
           {"dsl/graph/a.hpp", "#include \"dsl/text/lexer.hpp\"\n", "dsl/graph may not know dsl/text"},
           {"dsl/engine/a.cpp", "#include \"dsl/text/parser.hpp\"\n", "dsl/engine may not know dsl/text"},
           {"dsl/value/a.cpp", "#include \"dsl/graph/graph.hpp\"\n", "dsl/value may not know dsl/graph"},
           {"dsl/a.cpp", "  #  include <unistd.h>\n", "is not of the standard library"},
           {"dsl/a.cpp", "#include <sys/socket.h>\n", "is not of the standard library"},
           {"dsl/text/a.cpp", "#include <date/tz.h>\n", "date does not belong here"},
           {"dsl/a.cpp", "#include <boost/asio.hpp>\n", "Asio and Beast does not belong here"},
           {"store/a.cpp", "#include \"daemon/loop.hpp\"\n", "store may not know daemon"},
           {"store/a.cpp", "#include \"config/config.hpp\"\n", "store may not know config"},
           {"store/a.cpp", "#include <spdlog/spdlog.h>\n", "spdlog does not belong here"},
           {"store/a.hpp", "#include <pqxx/pqxx>\n", "libpqxx shows in a header of store/"},
           {"store/a.hpp", "#include <libpq-fe.h>\n", "libpq shows in a header of store/"},
           {"store/a.hpp", "#include \"store/pqxx_compat.hpp\"\n", "shows the library in a header"},
           {"daemon/a.cpp", "#include \"store/pqxx_compat.hpp\"\n", "is private to store/"},
           {"daemon/a.cpp", "#include <libpq-fe.h>\n", "libpq does not belong here"},
           {"daemon/web/a.cpp", "#include <CLI/CLI.hpp>\n", "CLI11 does not belong here"},
           {"daemon/a.cpp", "#include <yaml-cpp/yaml.h>\n", "yaml-cpp does not belong here"},
           {"config/a.cpp", "#include \"dsl/assert.hpp\"\n", "config may not know dsl"},
           {"config/a.cpp", "#include <curl/curl.h>\n", "libcurl does not belong here"},
           {"sql_schema/a.hpp", "#include <boost/json.hpp>\n", "Boost.JSON does not belong here"},
           {"daemon/a.cpp", "#include \"tests/support/sql.hpp\"\n", "is not in the list of rooms"},
           {"daemon/a.cpp", "#include \"loop.hpp\"\n", "from the top"},
       }) {
    INFO(path << " " << text);
    const auto found = violations(path, text);
    REQUIRE(found.size() == 1);
    CHECK_THAT(found[0], ContainsSubstring(problem));
  }
}

TEST_CASE("a right include is left alone") {
  struct Case {
    const char* path;
    const char* text;
  };
  for (const auto& [path, text] : std::vector<Case>{
           {"dsl/a.hpp", "#include <string>\n#include <boost/json.hpp>\n#include \"dsl/expected.hpp\"\n"},
           {"dsl/value/cron.cpp", "#include <date/tz.h>\n"},
           {"dsl/text/a.cpp", "#include \"dsl/graph/kinds.hpp\"\n#include \"dsl/assert.hpp\"\n"},
           {"dsl/a.cpp", "// #include <pqxx/pqxx>\nint include;\n"},
           {"store/a.cpp",
            "#include <pqxx/pqxx>\n#include <libpq-fe.h>\n#include \"store/pqxx_compat.hpp\"\n"},
           {"store/pqxx_compat.hpp", "#include <pqxx/pqxx>\n"},
           {"config/a.cpp", "#include <yaml-cpp/yaml.h>\n#include <unistd.h>\n"},
           {"daemon/cli/a.cpp",
            "#include <CLI/CLI.hpp>\n#include \"store/store.hpp\"\n#include \"config/config.hpp\"\n"},
           {"daemon/a.cpp",
            "#include <boost/asio.hpp>\n#include <curl/curl.h>\n#include <systemd/sd-daemon.h>\n"},
       }) {
    INFO(path << " " << text);
    CHECK(violations(path, text).empty());
  }
}
